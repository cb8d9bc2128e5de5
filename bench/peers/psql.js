// @ts-check
import { columns } from '../rows.js';
import { run } from '../timed.js';

/** Its version such as `15.18`, or undefined where there is no psql. */
export async function psqlVersion() {
  try {
    const { output } = await run('psql', ['--version']);
    return /\d+(\.\d+)*/.exec(output)?.[0];
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * `\copy` of CSV files into a table: one psql a file, all at once. Seconds from before the first starts until the last has ended.
 * @param {string} url
 * @param {string} table
 * @param {readonly string[]} files
 */
export function copyFiles(url, table, files) {
  return sessions(files.map((file) => [url, '-c', copy(table, file)]));
}

/**
 * Staging and merge as one would write it: `\copy` into a temporary table, then INSERT ... ON CONFLICT with the join that
 * leaves unchanged rows alone, in one transaction. One psql a file, all at once.
 * @param {string} url
 * @param {string} table
 * @param {readonly string[]} files
 */
export function mergeFiles(url, table, files) {
  const names = Object.keys(columns);
  const values = names.filter((name) => name !== 'id');
  const list = (/** @type {string} */ prefix) => values.map((name) => `${prefix}.${name}`).join(', ');
  const merge = `INSERT INTO ${table} (${names.join(', ')})
SELECT ${names.map((name) => `s.${name}`).join(', ')}
FROM (SELECT DISTINCT ON (id) * FROM staged ORDER BY id, ctid DESC) s LEFT JOIN ${table} t ON t.id = s.id
WHERE t.id IS NULL OR (${list('t')}) IS DISTINCT FROM (${list('s')})
ORDER BY s.id
ON CONFLICT (id) DO UPDATE SET ${values.map((name) => `${name} = excluded.${name}`).join(', ')}`;
  return sessions(
    files.map((file) => [
      ...['--single-transaction', url],
      ...['-c', `CREATE TEMPORARY TABLE staged (LIKE ${table}) ON COMMIT DROP`],
      ...['-c', copy('staged', file)],
      ...['-c', merge],
    ]),
  );
}

/** @param {string} table @param {string} file */
function copy(table, file) {
  return `\\copy ${table} from '${file}' with (format csv, header)`;
}

/** @param {readonly (readonly string[])[]} all arguments of each */
async function sessions(all) {
  const startedAt = performance.now();
  await Promise.all(all.map((args) => run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...args])));
  return (performance.now() - startedAt) / 1000;
}
