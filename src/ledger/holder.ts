import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** This process, so that another on the same host can see whether it still lives, and what in it holds. */
export function thisHolder(what: string): string {
  return `${hostname()} ${process.pid} ${startOf(process.pid) ?? '-'} ${what}`;
}

/** False when the holder was a process of this host that is certainly gone. Of other hosts nothing is known. */
export function mayBeAlive(holder: string): boolean {
  const [host, pid, start] = holder.split(' ');
  if (host !== hostname() || !/^\d+$/.test(pid ?? '')) return true;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
  // The number may have been given to another process since.
  return start === undefined || start === '-' || startOf(Number(pid)) === start;
}

/** When a process was started, in the kernel's ticks, where /proc tells (proc(5), field 22 of stat). */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
