// @ts-check
/**
 * Bundles the function of AWS Lambda with the job files given (without any: the example's) into dist-lambda/function, and
 * the same as dist-lambda/function.zip. In the bundle, what a job does not use is never loaded.
 *   npm run build:lambda -- orders.yaml customers.yaml
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { zipSync } from 'fflate';
import { forNode } from './for-node.js';

const folder = 'dist-lambda/function';
const given = process.argv.slice(2);
const paths = given.length > 0 ? given : ['examples/lambda/cities.yaml'];
const jobs = paths.map((path) => ({ name: basename(path), text: readFileSync(path) }));

rmSync('dist-lambda', { recursive: true, force: true });
await build({
  ...forNode,
  entryPoints: { index: 'src/hosts/lambda/function.ts' },
  outdir: folder,
  outExtension: { '.js': '.mjs' },
  chunkNames: '[name]-[hash]',
  minify: true,
  // pg looks for the one and does without; the others are in Lambda's runtimes.
  external: ['pg-native', '@aws-sdk/*'],
});
mkdirSync(join(folder, 'jobs'));
for (const { name, text } of jobs) writeFileSync(join(folder, 'jobs', name), text);

/** @type {Record<string, Uint8Array>} */
const files = {};
for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  files[path.slice(folder.length + 1).replaceAll('\\', '/')] = readFileSync(path);
}
// The same bytes give the same zip, so that an unchanged function is not deployed anew.
const zip = zipSync(files, { level: 9, mtime: new Date(2000, 0, 1) });
writeFileSync('dist-lambda/function.zip', zip);
const bytes = Object.values(files).reduce((sum, { length }) => sum + length, 0);
console.log(
  `${folder}: ${jobs.length} job(s), ${bytes} bytes in ${Object.keys(files).length} files, ${zip.length} zipped`,
);
