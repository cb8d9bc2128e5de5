/** Virtual time: what is to happen, in order, each at its moment. Milliseconds. Same moments in the order they were put in. */
export class Agenda {
  #now = 0;
  #made = 0;
  /** A binary heap, the next at its root. */
  readonly #heap: Entry[] = [];

  get now(): number {
    return this.#now;
  }

  at(time: number, act: () => void): void {
    const heap = this.#heap;
    let index = heap.push({ time: Math.max(time, this.#now), order: this.#made++, act }) - 1;
    for (let parent = (index - 1) >> 1; index > 0 && before(heap[index]!, heap[parent]!); parent = (index - 1) >> 1) {
      swap(heap, index, parent);
      index = parent;
    }
  }

  after(milliseconds: number, act: () => void): void {
    this.at(this.#now + milliseconds, act);
  }

  /** Lets everything up to `end` happen. */
  runTo(end: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.time <= end; next = this.#heap[0]) {
      this.#remove();
      this.#now = next.time;
      next.act();
    }
    this.#now = end;
  }

  #remove(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let index = 0; ; ) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < heap.length && before(heap[child]!, heap[least]!)) least = child;
      }
      if (least === index) return;
      swap(heap, index, least);
      index = least;
    }
  }
}

interface Entry {
  readonly time: number;
  readonly order: number;
  readonly act: () => void;
}

function before(a: Entry, b: Entry): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}

function swap(heap: Entry[], a: number, b: number): void {
  [heap[a], heap[b]] = [heap[b]!, heap[a]!];
}
