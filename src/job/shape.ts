import * as z from 'zod';

/** Where something stands in a job: keys and list indexes from its root. */
export type Path = readonly (string | number)[];

type Node = Readonly<Record<string, unknown>>;

/** What a schema allows at a path, for messages: the keys known there, and what its author says about it. */
export interface Shape {
  readonly keys: readonly string[];
  readonly description: string | undefined;
}

/**
 * Walks a schema along a path; where alternatives are allowed, along all of them, or, once they have been `chosen` among by
 * what is said at their end (`style: link`), along those it speaks of.
 */
export function shapeAt(schema: z.ZodType, path: Path, chosen?: unknown): Shape {
  let nodes = alternatives(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }));
  for (const step of path) nodes = nodes.flatMap((node) => alternatives(child(node, step)));
  if (isNode(chosen)) nodes = nodes.filter((node) => !contradicts(node, chosen));
  const keys = new Set(nodes.flatMap((node) => (isNode(node.properties) ? Object.keys(node.properties) : [])));
  const description = nodes.map((node) => node.description).find((text) => typeof text === 'string');
  return { keys: [...keys], description };
}

function contradicts({ properties }: Node, chosen: Node): boolean {
  if (!isNode(properties)) return false;
  return Object.entries(properties).some(
    ([name, property]) => isNode(property) && 'const' in property && name in chosen && property.const !== chosen[name],
  );
}

function child(node: Node, step: string | number): unknown {
  if (typeof step === 'number') return node.items;
  return isNode(node.properties) && Object.hasOwn(node.properties, step)
    ? node.properties[step]
    : node.additionalProperties;
}

function alternatives(node: unknown): Node[] {
  if (!isNode(node)) return [];
  const parts = ['anyOf', 'oneOf', 'allOf'].flatMap((word) => node[word] ?? []);
  return [node, ...parts.flatMap(alternatives)];
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
