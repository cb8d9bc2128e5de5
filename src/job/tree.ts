import type { Path } from './shape.js';

/** A mapping that is still being put together. */
export interface Tree {
  [step: string]: unknown;
}

/** Puts a value at a path of keys, making what is missing on the way; undefined puts nothing. */
export function put(root: Tree, path: Path, value: unknown): void {
  let tree = root;
  for (const step of path.slice(0, -1)) {
    const next = tree[step];
    if (isTree(next)) {
      tree = next;
    } else {
      const made: Tree = {};
      tree[step] = made;
      tree = made;
    }
  }
  if (value !== undefined) tree[path.at(-1)!] = value;
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
