/** Remembers at least the last `span` entries, and at most twice as many: two maps, of which the older is dropped whole. */
export class Recent<V> {
  readonly #span: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  constructor(span: number) {
    this.#span = span;
  }

  get(key: string): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#span && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}
