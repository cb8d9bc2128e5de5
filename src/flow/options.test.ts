import { expect, test } from 'vitest';
import type { Sink, Source } from '../contract/index.js';
import { dryRun, load } from './load.js';

/** Parts that only note whether they were let go of. */
function parts(more: Partial<Sink> = {}) {
  const disposed: string[] = [];
  const source: Source = {
    name: 'nowhere',
    identity: 'nowhere',
    async *splits() {},
    async *read() {},
    async [Symbol.asyncDispose]() {
      disposed.push('source');
    },
  };
  const unused = () => Promise.reject(new Error('was used'));
  const sink: Sink = {
    name: 'nothing',
    identity: 'nothing',
    traits: { maxBatchRows: 1, maxBatchBytes: 1, guarantee: 'at least once', rewrites: false },
    plan: unused,
    open: unused,
    write: unused,
    classify: () => 'fatal',
    async [Symbol.asyncDispose]() {
      disposed.push('sink');
    },
    ...more,
  };
  return { source, sink, disposed };
}

const ledger = {
  find: async () => undefined,
  begin: () => Promise.reject(new Error('was used')),
  heartbeat: async () => {},
  settle: async () => {},
  async *rejects() {},
  finish: async () => {},
  runs: async () => [],
  prune: async () => 0,
};

/** As a caller without types does. */
function loadAnyhow(options: unknown): Promise<unknown> {
  return Reflect.apply(load, undefined, [options]);
}

test.each<[object, string]>([
  [{ collumns: {} }, 'unknown option "collumns"; did you mean "columns"?'],
  [{ maxError: 0 }, 'unknown option "maxError"; did you mean "maxErrors"?'],
  [{ batchSize: 2 }, 'unknown option "batchSize"; did you mean "batchRows"?'],
  [{ dialect: 'x' }, 'unknown option "dialect"'],
  [{ signal: 5 }, 'signal: expected an AbortSignal'],
  [{ signal: new AbortController() }, 'signal: expected an AbortSignal'],
  [{ drain: 'now' }, 'drain: expected an AbortSignal'],
  [{ log: { info() {} } }, 'log: expected an object with the functions debug, info and warn'],
  [{ columns: ['id'] }, 'columns: expected a function of the record, or an object'],
  [{ columns: { id: { form: 'a' } } }, 'columns: expected a function of the record, or an object'],
  [{ onProgress: true }, 'onProgress: expected a function'],
  [{ ignoreExtra: 'yes' }, 'ignoreExtra: expected true or false'],
  [{ resume: 1 }, "resume: expected true, false or a run's name"],
  [{ runDir: '' }, 'runDir: expected the path of a folder'],
  [{ ledger: 'folder' }, 'ledger: expected a ledger, such as fileLedger(folder)'],
  [{ force: true }, 'force goes with resume'],
  [{ batchTime: 0 }, 'batchTime is 0'],
  [{ workers: 1.5 }, 'workers is 1.5'],
])('the options %o are refused, and source and sink let go of', async (wrong, message) => {
  const { source, sink, disposed } = parts();
  await expect(loadAnyhow({ source, sink, ...wrong })).rejects.toMatchObject({
    name: 'ConfigError',
    code: 'bad-option',
    message: expect.stringContaining(message),
  });
  expect(disposed.sort()).toEqual(['sink', 'source']);
});

test('a ledger beside that of the sink is refused', async () => {
  const { source, sink } = parts({ ledger });
  await expect(load({ source, sink, ledger })).rejects.toMatchObject({
    code: 'bad-option',
    message: expect.stringContaining('ledger is for a sink that keeps no account itself, and nothing does'),
  });
});

test.each<[unknown, string]>([
  [undefined, 'expected an object of options'],
  [{}, 'source is missing: give a source, such as file({ path })'],
  [{ source: parts().source }, 'sink is missing: give a sink, such as postgres({ url, table })'],
  [{ source: () => {}, sink: parts().sink }, 'source: expected a source'],
  [{ source: parts().source, sink: 'postgres://' }, 'sink: expected a sink'],
])('load(%o) says what is wrong', async (options, message) => {
  await expect(loadAnyhow(options)).rejects.toMatchObject({
    name: 'ConfigError',
    code: 'bad-option',
    message: expect.stringContaining(message),
  });
});

test('options that are left undefined are as if they were not there', async () => {
  const { source, sink } = parts({ plan: async () => ({ columns: [], statements: [], notes: [] }) });
  const none = { columns: undefined, signal: undefined, log: undefined, force: false, resume: undefined };
  await expect(dryRun({ source, sink, ...none })).resolves.toMatchObject({ sampled: 0 });
});
