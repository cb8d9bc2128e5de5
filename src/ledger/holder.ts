import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * What tells machines apart. Sandboxes of AWS Lambda share their names and the numbers of their processes; each has a log
 * stream of its own (docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html).
 */
function host(): string {
  return process.env.AWS_LAMBDA_LOG_STREAM_NAME ?? hostname();
}

/** This process, so that another on the same host can see whether it still lives, and what in it holds. */
export function thisHolder(what: string): string {
  return `${host()} ${process.pid} ${look(process.pid)?.start ?? '-'} ${what}`;
}

/** False when the holder was a process of this host that is certainly gone. Of other hosts, and other containers, nothing is known. */
export function mayBeAlive(holder: string): boolean {
  const [where, pid, start = '-'] = holder.split(' ');
  if (where !== host() || !/^\d+$/.test(pid ?? '')) return true;
  if (start !== '-' && start.split('/')[1] !== numbering()) return true;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
  const found = look(Number(pid));
  // Dead, with nobody to take note of it, as under a first process of a container that does not mind its children.
  if (found?.state === 'Z' || found?.state === 'X') return false;
  // The number may have been given to another process since.
  return start === '-' || found?.start === start;
}

/**
 * The state of a process, and when it was started, where /proc tells: in the kernel's ticks (proc(5), fields 3 and 22 of
 * stat), with the namespace its number belongs to.
 */
function look(pid: number): { readonly state: string | undefined; readonly start: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0], start: `${fields[19]}/${numbering()}` };
  } catch {
    return undefined;
  }
}

/** Containers may share the host's name, and number their processes each for itself. */
function numbering(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '';
  } catch {
    return '';
  }
}
