import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeFolder } from './make-folder.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-'));
});
afterEach(() => rm(root, { recursive: true }));

test('makes the folders that are missing, and tells the topmost', async () => {
  expect(await makeFolder(join(root, 'a', 'b', 'c'))).toBe(join(root, 'a'));
  expect((await stat(join(root, 'a', 'b', 'c'))).isDirectory()).toBe(true);
  expect(await makeFolder(join(root, 'a', 'b', 'd'))).toBe(join(root, 'a', 'b', 'd'));
  expect(await makeFolder(relative(process.cwd(), join(root, 'e')))).toBe(join(root, 'e'));
});

test('leaves a folder that is there', async () => {
  expect(await makeFolder(root)).toBeUndefined();
  expect(await makeFolder('/')).toBeUndefined();
  await symlink(root, join(root, 'link'));
  expect(await makeFolder(join(root, 'link'))).toBeUndefined();
});

test('many at once make it once', async () => {
  const tops = await Promise.all(Array.from({ length: 20 }, () => makeFolder(join(root, 'x', 'y', 'z'))));
  expect(tops.filter((top) => top === join(root, 'x'))).toHaveLength(1);
});

test('a file in the way, or a link to nowhere, is the error of the system', async () => {
  await writeFile(join(root, 'file'), '');
  await symlink(join(root, 'nowhere'), join(root, 'dangling'));
  await expect(makeFolder(join(root, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(makeFolder(join(root, 'file', 'x'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  await expect(makeFolder(join(root, 'dangling'))).rejects.toMatchObject({ code: 'EEXIST' });
});

test.runIf(process.platform === 'linux')('a folder that can have none in it is an error at once', async () => {
  await expect(makeFolder('/proc/sluice')).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(makeFolder('/proc/sluice/x')).rejects.toMatchObject({ code: 'ENOENT' });
});
