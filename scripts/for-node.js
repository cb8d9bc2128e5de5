// @ts-check
import { fileURLToPath } from 'node:url';

const banner = `import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url);
const __navigator = { userAgent: 'Node.js' };`;

/** Of our own sources: what else should ask for undici may need more of it. @type {import('esbuild').Plugin} */
const agentAlone = {
  name: 'agent-alone',
  setup({ onResolve }) {
    const path = fileURLToPath(new URL('undici-agent.js', import.meta.url));
    onResolve({ filter: /^undici$/ }, ({ importer }) => (importer.includes('node_modules') ? undefined : { path }));
  },
};

/** What esbuild is told of every bundle: several files of ES modules for Node.js. @satisfies {import('esbuild').BuildOptions} */
export const forNode = {
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // pg asks for it to tell where it runs. Where Node.js has none it would make a Response, and so load all of fetch.
  // By a name: an object written here would become a chunk of its own, which `--version` had to load.
  define: { navigator: '__navigator' },
  // CommonJS packages call `require` for what Node.js has built in.
  banner: { js: banner },
  plugins: [agentAlone],
  logLevel: 'warning',
};
