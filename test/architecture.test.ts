import { readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { globSync } from 'tinyglobby';
import { expect, test } from 'vitest';

/** What the files of a place may import, besides their own place and npm packages. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  errors: ['contract'],
  'aws-sdk': ['errors'],
  'make-folder': [],
  nearest: [],
  pause: [],
  formats: ['contract', 'errors'],
  gate: ['contract', 'errors'],
  ledger: ['contract', 'errors', 'formats', 'make-folder'],
  rejects: ['contract', 'errors', 'formats'],
  telemetry: ['contract', 'errors'],
  flow: ['contract', 'errors', 'make-folder', 'nearest', 'pause', 'formats', 'gate', 'ledger', 'rejects', 'telemetry'],
  sources: ['contract', 'errors', 'aws-sdk', 'pause', 'formats'],
  sinks: ['contract', 'errors', 'aws-sdk', 'formats'],
  registry: ['contract', 'errors', 'sources', 'sinks'],
  sweep: ['contract', 'errors', 'flow', 'telemetry'],
  job: ['contract', 'errors', 'nearest', 'formats', 'flow', 'registry'],
  hosts: [
    'contract',
    'errors',
    'aws-sdk',
    'make-folder',
    'formats',
    'flow',
    'gate',
    'ledger',
    'rejects',
    'telemetry',
    'sources',
    'sinks',
    'registry',
    'job',
    'sweep',
    'index',
  ],
  index: ['contract', 'errors', 'flow', 'gate'],
};

/** Only these may put the parts together; the others are handed what they need. */
const assembly = ['src/flow/load.ts'];

const files = globSync('src/**/*.ts').filter((file) => !file.endsWith('.test.ts'));

/** Places whose folders know nothing of one another. */
const apart = ['sources', 'sinks', 'hosts'];

/** The first folder or file name below src; of a source, a sink or a host also which. What several hosts share lies beside their folders. */
function place(file: string): { layer: string; part: string } {
  const [layer = '', ...folders] = relative('src', file).replace(/\.ts$/, '').split('/');
  const [part = '', inside] = folders;
  return { layer, part: apart.includes(layer) && inside !== undefined ? part : '' };
}

function imports(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const found = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1]!);
  return found.map((path) => normalize(join(dirname(file), path)).replace(/\.js$/, '.ts'));
}

test('there is something to look at', () => {
  expect(files.length).toBeGreaterThan(20);
  expect(files.flatMap(imports).length).toBeGreaterThan(20);
});

test('every folder has its place in the order of imports', () => {
  expect(files.map((file) => place(file).layer).filter((layer) => !(layer in allowed))).toEqual([]);
});

test('imports point one way', () => {
  const wrong = files.flatMap((file) =>
    imports(file).flatMap((target) => {
      const from = place(file);
      const to = place(target);
      if (from.layer === to.layer) return to.part === '' || from.part === to.part ? [] : [`${file} -> ${target}`];
      return allowed[from.layer]?.includes(to.layer) ? [] : [`${file} -> ${target}`];
    }),
  );
  expect(wrong).toEqual([]);
});

test('only load assembles the gate, the rejects and the flow', () => {
  const gateOrRejects = /^src\/(gate|rejects)\//;
  const others = files.filter((file) => place(file).layer === 'flow' && !assembly.includes(file));
  const constructing = others.filter((file) => {
    const text = readFileSync(file, 'utf8');
    return imports(file).some((target) => gateOrRejects.test(target)) && /new (Limiter|RejectFile)\(/.test(text);
  });
  expect(constructing).toEqual([]);
});
