// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholder of job files, not of JavaScript.
import * as z from 'zod';
import { type Component, sinks, sources } from '../registry.js';
import { jobSchema } from './job.js';
import { isTree, type Tree } from './tree.js';

/** A text with a variable in it, which may become whatever is wanted there. */
const variable = {
  type: 'string',
  pattern: '\\$\\{',
  description: 'a variable of the environment, such as "${NAME}" or "${NAME:-default}"',
};

/**
 * JSON Schema (draft 7, which editors know best) of a job file, made from what checks it: every source and sink with all
 * its options. Some rules stand between options and can't be said in it; the command tells of them.
 */
export async function jobFileSchema(): Promise<Tree> {
  const { definitions, ...schema } = jsonSchema(jobSchema, 'job');
  const properties = isTree(schema.properties) ? schema.properties : {};
  const source = await oneOf(properties.source, sources);
  const sink = await oneOf(properties.sink, sinks);
  return {
    ...schema,
    title: 'A job of Sluice',
    properties: { ...properties, source: source.schema, sink: sink.schema },
    definitions: { variable, ...source.definitions, ...sink.definitions, ...(isTree(definitions) && definitions) },
  };
}

/** A mapping with one key, the name of a part, and its options under it; and what they refer to. */
async function oneOf(described: unknown, registry: Readonly<Record<string, () => Promise<Component<unknown>>>>) {
  const properties: Tree = {};
  const definitions: Tree = {};
  for (const [name, part] of Object.entries(registry)) {
    const { $schema, definitions: own = {}, ...options } = jsonSchema((await part()).options, name);
    properties[name] = options;
    Object.assign(definitions, own);
  }
  const description = isTree(described) ? described.description : undefined;
  const one = { additionalProperties: false, minProperties: 1, maxProperties: 1 };
  return { schema: { description, type: 'object', properties, ...one }, definitions };
}

/** What the schema itself refers to gets names that begin with `prefix`. */
function jsonSchema(schema: z.ZodType, prefix: string): Tree {
  const { definitions = {}, ...plain } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-7',
    unrepresentable: 'any',
  });
  const named = JSON.stringify({ ...plain, definitions }).replaceAll('__schema', `${prefix}-value-`);
  const open = withVariables(JSON.parse(named));
  return isTree(open) ? open : {};
}

/** Lets a variable stand wherever a scalar that is not any text is wanted. */
function withVariables(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withVariables);
  if (!isTree(node)) return node;
  if (!isNarrow(node)) {
    // To an editor `readOnly` would say that the option must not be set.
    const entries = Object.entries(node).filter(([key, value]) => key !== 'readOnly' || value !== true);
    return Object.fromEntries(entries.map(([key, value]) => [key, withVariables(value)]));
  }
  const { description, default: byDefault, ...narrow } = node;
  return {
    ...(description !== undefined && { description }),
    ...(byDefault !== undefined && { default: byDefault }),
    anyOf: [narrow, { $ref: '#/definitions/variable' }],
  };
}

/** `const` tells alternatives apart, and must stay what it is. */
function isNarrow(node: Tree): boolean {
  const { type, enum: values, format, pattern, maxLength } = node;
  if (type === 'integer' || type === 'number' || type === 'boolean' || Array.isArray(values)) return true;
  return type === 'string' && (format !== undefined || pattern !== undefined || maxLength !== undefined);
}
