import type { z } from 'zod';
import type { Sink, Source } from './contract/index.js';

/** How a host makes a part out of a job's words: validate with `options`, then `create`. */
export interface Component<Part> {
  readonly options: z.ZodType;
  create(options: unknown): Part;
}

/** Every source and sink by name, loaded when asked for. */
export const sources: Readonly<Record<string, () => Promise<Component<Source>>>> = {};
export const sinks: Readonly<Record<string, () => Promise<Component<Sink>>>> = {};
