#!/usr/bin/env node
import { readFileSync } from 'node:fs';

// The version is wanted often and at once: nothing is loaded for it.
const [first] = process.argv.slice(2);
if (first === '--version' || first === '-V') {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
  );
  process.stdout.write(`${version}\n`);
} else {
  const { runCommandLine } = await import('./command-line.js');
  await runCommandLine(process.argv.slice(2));
}
