import type { Node } from './node.js';
import type { Mastered } from './wire/info.js';
import { partitions } from './wire/protocol.js';

/** Which node is master of which partition of the namespace. */
export class PartitionMap {
  readonly #masters: (Node | undefined)[] = new Array(partitions).fill(undefined);
  /** Of the claim by which each has its master. */
  readonly #regimes = new Float64Array(partitions);

  masterOf(partition: number): Node | undefined {
    const node = this.#masters[partition];
    return node?.gone ? undefined : node;
  }

  /** Partitions without a master. */
  get missing(): number {
    let missing = 0;
    for (let i = 0; i < partitions; i++) if (this.masterOf(i) === undefined) missing += 1;
    return missing;
  }

  /**
   * Takes over what a node says it is master of, unless another has it by a later regime. Who loses a partition is asked
   * anew: it may not have been told yet.
   */
  claim(node: Node, { regime, bitmap }: Mastered): void {
    for (let i = 0; i < partitions; i++) {
      if ((bitmap[i >> 3]! & (0x80 >> (i & 7))) === 0) continue;
      const before = this.#masters[i];
      if (regime !== 0 && regime < this.#regimes[i]! && before !== undefined && !before.gone) continue;
      this.#regimes[i] = regime;
      if (before === node) continue;
      if (before !== undefined) before.partitionGeneration = undefined;
      this.#masters[i] = node;
    }
  }
}
