/** Gives the results of `work` in the order of the items, while up to `atOnce` of them are worked on. */
export async function* inOrder<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item, index: number) => Promise<Result>,
): AsyncGenerator<Result, void> {
  const begun: Promise<Result>[] = [];
  let next = 0;
  for (;;) {
    while (begun.length < atOnce && next < items.length) {
      const result = work(items[next]!, next);
      // Whoever awaits it gets the error; when nobody does, it must not end the process.
      result.catch(() => {});
      begun.push(result);
      next += 1;
    }
    const first = begun.shift();
    if (first === undefined) return;
    yield await first;
  }
}
