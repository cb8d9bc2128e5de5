import type * as z from 'zod';
import { ConfigError } from '../errors.js';
import { type Component, sinks, sources } from '../registry.js';
import { type Job, jobSchema, type Part } from './job.js';
import { type JobProblem, problemsOf, textsThatShouldBe, unknownKey, valueAt } from './problems.js';
import type { Path } from './shape.js';

/** A job as somebody wrote it, and how to speak to them about it. */
export interface Draft {
  readonly value: unknown;
  /** What they know it by: a file's name, `the command line`. */
  readonly title: string;
  /** What was found wrong while it was read; what stands at these paths is not judged again. */
  readonly problems: readonly JobProblem[];
  /** Where a problem stands, in their terms: `job.yaml:3:5 source.http.url`, `--mode`; and its place in the order of telling. */
  locate(problem: JobProblem): { readonly place: string; readonly order: number };
  /** True when the text at a path came out of the environment: it is never shown, and may stand for a number. */
  fromEnvironment(path: Path): boolean;
}

type Registry = Readonly<Record<string, () => Promise<Component<unknown>>>>;

/**
 * Checks a whole job, the options of its source and sink included.
 * @throws ConfigError `bad-job` that lists everything that is wrong, each with its place.
 */
export async function checkJob(draft: Draft): Promise<Job> {
  const root = structuredClone(draft.value);
  const judge = (schema: z.ZodType, base: Path): JobProblem[] => {
    readTexts(schema, root, base, draft);
    return problemsOf(schema, valueAt(root, base), base, (path) => !draft.fromEnvironment(path));
  };
  const found = judge(jobSchema, []);
  const source = await part(root, 'source', sources, judge, found);
  const sink = await part(root, 'sink', sinks, judge, found);
  if (sink && valueAt(root, ['ledger']) !== undefined && (await sinks[sink.name]?.())?.keepsLedger) {
    const message = `is for sinks that keep no account themselves; ${sink.name} does, unless its own option ledger is false`;
    found.push({ path: ['ledger'], about: 'key', message });
  }
  const known = new Set(draft.problems.map(({ path }) => path.join('\0')));
  const problems = [...draft.problems, ...found.filter(({ path }) => !known.has(path.join('\0')))];
  if (problems.length > 0 || !source || !sink) throw new ConfigError('bad-job', describe(draft, problems));
  return { ...jobSchema.parse(root), source, sink };
}

/** A number, or true or false, that came out of an environment variable is still a text: it is read as what is wanted. */
function readTexts(schema: z.ZodType, root: unknown, base: Path, draft: Draft): void {
  for (const [below, wanted] of textsThatShouldBe(schema, valueAt(root, base))) {
    const path = [...base, ...below];
    const text = valueAt(root, path);
    if (typeof text !== 'string' || !draft.fromEnvironment(path)) continue;
    const holder = valueAt(root, path.slice(0, -1)) as Record<string | number, unknown>;
    const last = path.at(-1)!;
    if (wanted === 'number' && /^-?\d+(?:\.\d+)?$/.test(text)) holder[last] = Number(text);
    if (wanted === 'boolean' && (text === 'true' || text === 'false')) holder[last] = text === 'true';
  }
}

async function part(
  root: unknown,
  role: 'source' | 'sink',
  registry: Registry,
  judge: (schema: z.ZodType, base: Path) => JobProblem[],
  found: JobProblem[],
): Promise<Part | undefined> {
  const given = valueAt(root, [role]);
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return undefined;
  const names = Object.keys(given);
  const known = Object.keys(registry);
  for (const name of names.filter((candidate) => !Object.hasOwn(registry, candidate))) {
    found.push({ path: [role, name], about: 'key', message: unknownKey(name, known) });
  }
  if (names.length !== 1) {
    found.push({ path: [role], about: 'value', message: `expected one ${role}, ${known.join(' or ')}` });
    return undefined;
  }
  const name = names[0]!;
  const component = await registry[name]?.();
  if (!component) return undefined;
  found.push(...judge(component.options, [role, name]));
  return { name, options: valueAt(root, [role, name]) };
}

function describe(draft: Draft, problems: readonly JobProblem[]): string {
  const lines = problems
    .map((problem) => ({ ...draft.locate(problem), message: problem.message }))
    .sort((a, b) => a.order - b.order)
    .map(({ place, message }) => `${place}: ${message}`);
  if (lines.length === 1) return lines[0]!;
  return `${draft.title} has ${lines.length} mistakes:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}
