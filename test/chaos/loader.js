// @ts-check
// Loads files into a table, as one process that can be killed. Told what by one argument, JSON; says on standard output, a
// line each, when it is about to start ("ready"), and at its end the report or the error. SIGTERM makes it drain.
import { load } from '../../dist/index.js';
import { postgres } from '../../dist/sinks/postgres/index.js';
import { file } from '../../dist/sources/file/index.js';

const { url, table, path, ...options } = JSON.parse(process.argv[2] ?? '{}');
const drain = new AbortController();
process.once('SIGTERM', () => drain.abort());
/** @param {object} line */
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

say({ ready: true });
let told = 0;
try {
  const report = await load({
    ...options,
    source: file({ path }),
    sink: postgres({ url, table }),
    drain: drain.signal,
    log: {
      debug() {},
      /** @param {object} fields */
      info: (fields) => 'epoch' in fields && say({ epoch: fields.epoch }),
      warn() {},
    },
    onProgress({ written, rejected }) {
      if (written + rejected > told) say({ settled: written + rejected });
      told = written + rejected;
    },
  });
  say({ report });
} catch (error) {
  const { code = 'none', message, report } = /** @type {Error & { code?: string, report?: object }} */ (error);
  say({ error: { code, message }, report });
  process.exitCode = 1;
}
say({ peak: process.resourceUsage().maxRSS });
