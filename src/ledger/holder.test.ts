import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { mayBeAlive, thisHolder } from './holder.js';

test('this process is alive', () => {
  expect(mayBeAlive(thisHolder('r'))).toBe(true);
});

test.runIf(existsSync('/proc/self/stat'))(
  'a number given to another process since is not the holder, one of another container may be',
  () => {
    const [host, pid, start = ''] = thisHolder('r').split(' ');
    const [ticks, numbering] = start.split('/');
    expect(mayBeAlive(`${host} ${pid} 1/${numbering} r`)).toBe(false);
    expect(mayBeAlive(`${host} ${pid} ${ticks}/1 r`)).toBe(true);
    expect(mayBeAlive(`${host} 999999999 ${ticks}/1 r`)).toBe(true);
  },
);

test('a process of this host that has ended is not alive; of other hosts nothing is known', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['-p', 'process.pid']);
  expect(mayBeAlive(`${hostname()} ${stdout.trim()} - r`)).toBe(false);
  expect(mayBeAlive(`elsewhere ${stdout.trim()} - r`)).toBe(true);
});

test.runIf(existsSync('/proc/self/stat'))(
  'a process that nobody has taken note of the death of is not alive',
  async () => {
    // The shell gives way to a process that does not know it has a child, before the child ends.
    const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 10'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [said] = await once(parent.stdout, 'data');
    const holder = `${hostname()} ${String(said).trim()} - r`;
    try {
      await expect.poll(() => mayBeAlive(holder)).toBe(false);
      expect(() => process.kill(Number(String(said).trim()), 0)).not.toThrow();
    } finally {
      parent.kill();
    }
  },
);
