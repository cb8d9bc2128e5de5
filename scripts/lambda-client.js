// @ts-check
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';

const version = '3.3.0';
const programs = ['cmake', 'make', 'gcc', 'g++', 'python3', 'tar'];

/**
 * AWS's own Runtime Interface Client for Node.js, npm's aws-lambda-ric: gives the path of its program. It is compiled once,
 * into a folder for this version of Node.js, and then stays there.
 *
 * Its install script makes curl by autoconf, automake and libtool; curl's other build, by cmake, makes the same library
 * of the same source, and the rest needs cmake anyway. So its scripts are left out, and their steps are taken here.
 * @throws when a program that is needed is missing, or the build fails: it says which.
 */
export function lambdaClient() {
  const folder = resolve('.cache', `aws-lambda-ric-${version}-node-${process.versions.node}`);
  const program = join('node_modules', 'aws-lambda-ric', 'bin', 'index.mjs');
  if (existsSync(folder)) return join(folder, program);
  const missing = programs.filter((name) => !onPath(name));
  if (missing.length > 0) {
    throw new Error(
      `the Lambda Runtime Interface Client (npm aws-lambda-ric ${version}) has to be compiled once, and ${missing.join(', ')} can't be found: install the C++ toolchain (Debian: apt-get install build-essential cmake python3)`,
    );
  }
  console.log(`compiling aws-lambda-ric ${version} into ${folder}: that takes a minute or two, and happens once`);
  const making = `${folder}.making`;
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { recursive: true });
  writeFileSync(join(making, 'package.json'), '{ "private": true }');
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  run('npm', ['install', ...quiet, `aws-lambda-ric@${version}`], making);
  compile(join(making, 'node_modules', 'aws-lambda-ric'));
  renameSync(making, folder);
  return join(folder, program);
}

/** @param {string} root of the package */
function compile(root) {
  const deps = join(root, 'deps');
  const artifacts = join(deps, 'artifacts');
  for (const archive of readdirSync(deps).filter((file) => file.endsWith('.tar.gz')))
    run('tar', ['xzf', archive, '--no-same-owner'], deps);
  const sources = readdirSync(deps, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const folderOf = (/** @type {string} */ start) =>
    join(deps, sources.find(({ name }) => name.startsWith(start))?.name ?? start);
  // As the package's own script has it: plain HTTP, and nothing else.
  make(folderOf('curl-'), [
    `-DCMAKE_INSTALL_PREFIX=${artifacts}`,
    '-DCMAKE_POSITION_INDEPENDENT_CODE=ON',
    '-DCMAKE_BUILD_TYPE=Release',
    ...['HTTP_ONLY', 'CURL_DISABLE_PROXY', 'CURL_DISABLE_COOKIES', 'CURL_DISABLE_SOCKETPAIR'].map(on),
    ...['BUILD_SHARED_LIBS', 'BUILD_CURL_EXE', 'BUILD_TESTING', 'CURL_ENABLE_SSL', 'CURL_ZLIB', 'USE_LIBIDN2'].map(off),
    ...['ENABLE_IPV6', 'ENABLE_UNIX_SOCKETS', 'ENABLE_THREADED_RESOLVER', 'CURL_USE_LIBSSH2', 'ENABLE_MANUAL'].map(off),
  ]);
  make(folderOf('aws-lambda-cpp-'), [
    `-DCMAKE_INSTALL_PREFIX=${artifacts}`,
    `-DCMAKE_PREFIX_PATH=${artifacts}`,
    '-DCMAKE_POSITION_INDEPENDENT_CODE=ON',
    '-DCMAKE_BUILD_TYPE=Release',
  ]);
  run('npm', ['run', 'build:gyp', '--loglevel=error'], root, headers());
  renameSync(join(root, 'build', 'Release', 'rapid-client.node'), join(root, 'dist', 'rapid-client.node'));
  for (const left of [deps, join(root, 'build')]) rmSync(left, { recursive: true, force: true });
}

/** @param {string} source @param {readonly string[]} options */
function make(source, options) {
  const build = join(source, 'built');
  run('cmake', ['-S', source, '-B', build, ...options], source);
  run('cmake', ['--build', build, '--parallel', String(availableParallelism()), '--target', 'install'], source);
}

/** The headers that came with this Node.js, where they did; else node-gyp fetches them. */
function headers() {
  const prefix = dirname(dirname(process.execPath));
  const here = existsSync(join(prefix, 'include', 'node', 'node_api.h'));
  return here ? { npm_config_nodedir: prefix } : {};
}

/** @param {string} name */
function on(name) {
  return `-D${name}=ON`;
}

/** @param {string} name */
function off(name) {
  return `-D${name}=OFF`;
}

/** @param {string} name */
function onPath(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} [env]
 */
function run(program, args, cwd, env = {}) {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return;
  const said = `${stdout ?? ''}${stderr ?? ''}`.trim().slice(-3_000);
  throw new Error(`${program} ${args.slice(0, 3).join(' ')} failed, in ${cwd}: ${error?.message ?? ''}\n${said}`);
}
