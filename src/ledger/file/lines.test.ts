import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { linesOf } from './lines.js';

const longest = 100;

async function read(content: Buffer): Promise<{ offset: number; text: string; whole: boolean }[]> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-lines-'));
  const path = join(folder, 'file');
  await writeFile(path, content);
  const file = await open(path, 'r');
  try {
    const lines = [];
    for await (const { offset, bytes, whole } of linesOf(file, longest)) {
      lines.push({ offset, text: bytes.toString(), whole });
    }
    return lines;
  } finally {
    await file.close();
    await rm(folder, { recursive: true });
  }
}

test('gives every line and where it stands; of one that is too long or has no end, nothing', async () => {
  const texts = fc.array(
    fc.oneof(
      fc.string(),
      fc.nat(300_000).map((length) => 'x'.repeat(length)),
    ),
  );
  await fc.assert(
    fc.asyncProperty(texts, fc.boolean(), async (given, ended) => {
      const lines = given.map((text) => text.replaceAll('\n', ' '));
      const content = Buffer.from(lines.join('\n') + (ended && lines.length > 0 ? '\n' : ''));
      let offset = 0;
      const expected = lines.flatMap((text, i) => {
        const length = Buffer.byteLength(text);
        const whole = length <= longest && (ended || i + 1 < lines.length);
        const line = { offset, text: whole ? text : '', whole };
        offset += length + 1;
        // Nothing behind the last newline is no line.
        return !ended && i + 1 === lines.length && length === 0 ? [] : [line];
      });
      expect(await read(content)).toEqual(expected);
    }),
    { numRuns: 40 },
  );
});
