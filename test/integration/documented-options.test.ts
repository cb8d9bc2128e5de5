import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { makeProgram } from '../../src/hosts/cli/program.js';
import { Terminal } from '../../src/hosts/cli/terminal.js';

const text = (path: string) => readFile(path, 'utf8');

test('every option of load() is in docs/library.md', async () => {
  const options = (await text('src/flow/options.ts')).split('export interface LoadOptions {')[1]!.split('\n}\n')[0]!;
  const names = [...options.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name!);
  expect(names.length).toBeGreaterThan(20);
  const docs = await text('docs/library.md');
  expect(names.filter((name) => !docs.includes(`| \`${name}\` `))).toEqual([]);
});

test('every flag of every command is in docs/command.md, or in the page of its command', async () => {
  const pages = await Promise.all(
    ['command', 'sweep', 'plan', 'replay', 'aerospike', 'ledger'].map((name) => text(`docs/${name}.md`)),
  );
  const docs = pages.join('\n');
  const flags = (command: Command): string[] => [
    ...command.options.map(({ long }) => long ?? ''),
    ...command.commands.flatMap(flags),
  ];
  const all = [...new Set(flags(makeProgram(new Terminal(), () => {})))];
  expect(all.length).toBeGreaterThan(30);
  expect(all.filter((flag) => !new RegExp(`${flag}[ ,\`]`).test(docs))).toEqual([]);
});

type Schema = { readonly properties?: Readonly<Record<string, Schema>> } & Readonly<Record<string, unknown>>;

/** The names of all options of a part of the JSON Schema, those of options within options too. */
function namesIn(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([keyword, value]: [string, unknown]) => {
    const names = keyword === 'properties' && typeof value === 'object' && value !== null ? Object.keys(value) : [];
    return [...names, ...namesIn(value)];
  });
}

test.each([
  ['source', 'http', 'src/sources/http/README.md'],
  ['source', 'file', 'src/sources/file/README.md'],
  ['sink', 'postgres', 'src/sinks/postgres/README.md'],
  ['sink', 'aerospike', 'src/sinks/aerospike/README.md'],
])('every option of the %s %s is in %s', async (kind, name, path) => {
  const job: Schema = JSON.parse(await text('schema/job.schema.json'));
  const names = [...new Set(namesIn(job.properties?.[kind]?.properties?.[name]))];
  expect(names.length).toBeGreaterThan(3);
  const docs = await text(path);
  expect(names.filter((option) => !new RegExp(`\\b${option}\\b`).test(docs))).toEqual([]);
});

test('every part of a job is in docs/job-file.md', async () => {
  const job: Schema = JSON.parse(await text('schema/job.schema.json'));
  const docs = await text('docs/job-file.md');
  expect(Object.keys(job.properties ?? {}).filter((name) => !docs.includes(`\`${name}\``))).toEqual([]);
});
