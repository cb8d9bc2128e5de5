import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** A cgroup of Linux: what its processes hold in memory together has a bound, beyond which the kernel kills one. */
export interface MemoryGroup extends Disposable {
  readonly kind: 'cgroup v1' | 'cgroup v2';
  /** The file that takes a process in, by its number. */
  readonly processes: string;
  /** The most that was held, in bytes, page cache included; undefined where the kernel does not tell. */
  peak(): number | undefined;
}

/** What the kernel calls things, by version (Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst). */
const names = {
  'cgroup v1': { limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes' },
  'cgroup v2': { limit: 'memory.max', peak: 'memory.peak' },
} as const;

let made = 0;

/** Makes a group with a bound of so many bytes, to be disposed when its processes have ended; undefined where this user may not. */
export function memoryGroup(bytes: number): MemoryGroup | undefined {
  const place = parentOf(read('/proc/self/cgroup'), read('/proc/self/mountinfo'));
  if (place === undefined) return undefined;
  const { kind, parent } = place;
  const folder = join(parent, `sluice-lambda-${process.pid}-${++made}`);
  try {
    mkdirSync(folder);
    writeFileSync(join(folder, names[kind].limit), String(bytes));
  } catch {
    if (existsSync(folder)) rmdirSync(folder);
    return undefined;
  }
  return {
    kind,
    processes: join(folder, 'cgroup.procs'),
    peak: () => Number(read(join(folder, names[kind].peak))) || undefined,
    [Symbol.dispose]: () => rmdirSync(folder),
  };
}

/**
 * Where a group with a bound on memory can be made, by what /proc tells of this process: below its own in version 1, beside it in
 * version 2, where a group has either processes or groups. Undefined where memory is under neither.
 */
export function parentOf(
  cgroup: string,
  mountinfo: string,
): { readonly kind: MemoryGroup['kind']; readonly parent: string } | undefined {
  const mounts = mountinfo.split('\n').map((line) => line.split(' '));
  const entries = cgroup.split('\n').map((line) => line.split(':'));
  const old = entries.find(([, controllers]) => controllers?.split(',').includes('memory'))?.[2];
  if (old !== undefined) {
    const mount = mounts.find((fields) => fields.includes('cgroup') && fields.at(-1)?.split(',').includes('memory'));
    return mount && { kind: 'cgroup v1', parent: resolve(join(mount[4]!, withoutRoot(old, mount[3]!))) };
  }
  const own = entries.find(([number]) => number === '0')?.[2];
  const mount = mounts.find((fields) => fields.includes('cgroup2'));
  if (own === undefined || mount === undefined) return undefined;
  const path = withoutRoot(own, mount[3]!);
  return { kind: 'cgroup v2', parent: path === '/' ? mount[4]! : dirname(join(mount[4]!, path)) };
}

/** In a container a part of the hierarchy may be mounted. */
function withoutRoot(path: string, root: string): string {
  return root !== '/' && path.startsWith(root) ? path.slice(root.length) || '/' : path;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
