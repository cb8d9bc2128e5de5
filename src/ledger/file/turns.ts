import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { isCode, makeDurableFolder, namesIn, syncFolder } from './folder.js';

const claimRecord = z.object({ holder: z.string(), run: z.string(), since: z.iso.datetime() });

/** A turn at a job: who took it, and whether it goes on. */
export interface Turn {
  readonly number: number;
  /** Undefined when the file can't be read: then only its heartbeat counts. */
  readonly holder: string | undefined;
  readonly run: string | undefined;
  readonly since: Date;
  readonly heartbeat: Date;
  readonly released: boolean;
}

/**
 * Turns at a job, counted up: each is a file, which only one can make (link(2) fails where the name is taken), and which
 * is never changed into another's. The highest number has the job; a holder that finds a higher one than its own has lost it.
 * The newest file is never removed, so that numbers only rise. The time a file was last changed is its holder's heartbeat.
 */
export class Turns {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async latest(): Promise<Turn | undefined> {
    for (;;) {
      const number = await this.latestNumber();
      if (number === 0) return undefined;
      const path = this.#path(number);
      try {
        const { mtime } = await stat(path);
        const [first = '', second = ''] = (await readFile(path, 'utf8')).split('\n');
        const claim = parsed(first);
        const since = claim === undefined ? mtime : new Date(claim.since);
        const { holder, run } = claim ?? {};
        return { number, holder, run, since, heartbeat: mtime, released: second === 'released' };
      } catch (error) {
        // A later turn has swept it away.
        if (!isCode(error, 'ENOENT')) throw error;
      }
    }
  }

  /** 0 where there was none. */
  async latestNumber(): Promise<number> {
    const last = (await namesIn(this.#folder)).findLast((name) => /^\d{10}$/.test(name));
    return Number(last ?? 0);
  }

  /** Takes a turn; false when somebody else was quicker. Durable when it resolves. */
  async take(number: number, holder: string, run: string): Promise<boolean> {
    await makeDurableFolder(this.#folder);
    const draft = join(this.#folder, `draft-${randomBytes(8).toString('hex')}`);
    try {
      const file = await open(draft, 'wx');
      try {
        await file.appendFile(`${JSON.stringify({ holder, run, since: new Date().toISOString() })}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await link(draft, this.#path(number));
    } catch (error) {
      if (isCode(error, 'EEXIST')) return false;
      throw error;
    } finally {
      await rm(draft, { force: true });
    }
    await syncFolder(this.#folder);
    return true;
  }

  /** Says that the holder of a turn is alive. */
  async beat(number: number): Promise<void> {
    const now = new Date();
    await utimes(this.#path(number), now, now);
  }

  /** Lets the next one in at once. Where that fails, the next one waits for the lease, or sees that the process is gone. */
  async release(number: number): Promise<void> {
    try {
      const file = await open(this.#path(number), constants.O_WRONLY | constants.O_APPEND);
      try {
        await file.appendFile('released\n');
      } finally {
        await file.close();
      }
    } catch {
      // Whoever comes next has other ways to know.
    }
  }

  /** Removes the files of earlier turns. */
  async sweep(number: number): Promise<void> {
    for (const name of await namesIn(this.#folder)) {
      if (/^\d{10}$/.test(name) && Number(name) < number) await rm(join(this.#folder, name), { force: true });
    }
  }

  #path(number: number): string {
    return join(this.#folder, String(number).padStart(10, '0'));
  }
}

function parsed(line: string): z.infer<typeof claimRecord> | undefined {
  try {
    return claimRecord.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
