import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { memoryGroup, parentOf } from './memory-group.js';

const mounted = (mount: string, root: string, kind: string, options: string) =>
  `31 23 0:28 ${root} ${mount} rw,relatime shared:9 - ${kind} ${kind} rw,${options}`;

test.each([
  ['below its own, in version 1', '4:cpu:/a\n3:memory:/a/b\n0::/', '/', 'cgroup v1', '/sys/fs/cgroup/memory/a/b'],
  ['below the root of a container', '3:memory:/docker/x', '/docker/x', 'cgroup v1', '/sys/fs/cgroup/memory'],
])('a group with a bound is made %s', (_where, cgroup, root, kind, parent) => {
  const mounts = [
    mounted('/sys/fs/cgroup/cpu', root, 'cgroup', 'cpu'),
    mounted('/sys/fs/cgroup/memory', root, 'cgroup', 'memory'),
  ];
  expect(parentOf(cgroup, mounts.join('\n'))).toEqual({ kind, parent });
});

test.each([
  ['/user.slice/session-2.scope', '/sys/fs/cgroup/user.slice'],
  ['/', '/sys/fs/cgroup'],
])('in version 2, a group beside %s', (own, parent) => {
  const mounts = mounted('/sys/fs/cgroup', '/', 'cgroup2', 'nsdelegate');
  expect(parentOf(`0::${own}\n`, mounts)).toEqual({ kind: 'cgroup v2', parent });
});

test('where there are no cgroups, there is no such group', () => {
  expect(parentOf('', '')).toBeUndefined();
});

test('who holds more than the bound is killed', async () => {
  using group = memoryGroup(64 * 1024 * 1024);
  if (group === undefined) {
    console.warn('NOT RUN: the bound of a cgroup, for this user may not make one here');
    return;
  }
  const holding = (mebibytes: number) => `const held = Buffer.alloc(${mebibytes} * 1024 * 1024, 1); held.at(0)`;
  const ended = async (script: string) => {
    const words = ['-c', 'echo $$ > "$1" && shift && exec "$@"', 'sh', group.processes, process.execPath, '-e', script];
    const [code, signal] = await once(spawn('sh', words), 'exit');
    return signal ?? code;
  };
  expect(await ended(holding(1))).toBe(0);
  expect(await ended(holding(200))).toBe('SIGKILL');
  expect(group.peak()).toBeGreaterThan(60 * 1024 * 1024);
});
