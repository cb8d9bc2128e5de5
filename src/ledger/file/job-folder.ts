import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileName, namesIn } from './folder.js';
import { Turns } from './turns.js';

/** A file with what one holder, and those before it, settled of a run. */
export interface Segment {
  readonly path: string;
  readonly run: string;
  /** The turn in which the run was started: runs of a job are as old as these say. */
  readonly started: number;
  /** The turn whose holder writes it. */
  readonly turn: number;
}

/** What is kept of one job: its turns, and a segment of each run. */
export class JobFolder {
  readonly path: string;
  readonly turns: Turns;

  constructor(root: string, name: string) {
    this.path = join(root, name);
    this.turns = new Turns(join(this.path, 'turns'));
  }

  static of(root: string, job: string): JobFolder {
    return new JobFolder(root, fileName(job));
  }

  static async all(root: string): Promise<JobFolder[]> {
    return (await namesIn(root)).map((name) => new JobFolder(root, name));
  }

  segment(run: string, started: number, turn: number): Segment {
    const name = `${padded(started)}-${padded(turn)}-${fileName(run)}.ledger`;
    return { path: join(this.path, name), run, started, turn };
  }

  /** The latest segment of each run, the newest run first. */
  async runs(): Promise<Segment[]> {
    const byRun = new Map<string, Segment>();
    for (const segment of await this.#segments()) {
      const known = byRun.get(segment.run);
      if (known === undefined || known.turn < segment.turn) byRun.set(segment.run, segment);
    }
    return [...byRun.values()].sort((a, b) => b.started - a.started);
  }

  async latest(run?: string): Promise<Segment | undefined> {
    return (await this.runs()).find((segment) => run === undefined || segment.run === run);
  }

  /** Removes every segment of a run up to a turn, and drafts that were left of it. */
  async remove(run: string, upTo: number): Promise<void> {
    for (const segment of await this.#segments(/\.ledger(\.draft)?$/)) {
      if (segment.run === run && segment.turn <= upTo) await rm(segment.path, { force: true });
    }
  }

  async #segments(ending = /\.ledger$/): Promise<Segment[]> {
    return (await namesIn(this.path)).flatMap((name) => {
      const [, started, turn, run] = /^(\d{10})-(\d{10})-(.+)$/.exec(name.replace(ending, '')) ?? [];
      if (run === undefined || !ending.test(name)) return [];
      return {
        path: join(this.path, name),
        run: decodeURIComponent(run),
        started: Number(started),
        turn: Number(turn),
      };
    });
  }
}

function padded(number: number): string {
  return String(number).padStart(10, '0');
}
