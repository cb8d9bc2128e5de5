// @ts-check

/** The same words as peers/aerospike-go/main.go. */
const words = ['new', 'fraud', 'regular', 'dormant', 'gold', 'silver', 'trial', 'moved', 'blocked', 'staff'];

/** A list of three short strings, told by the record's number alone. @param {number} id */
export function categories(id) {
  return [words[id % 10], words[Math.trunc(id / 10) % 10], words[Math.trunc(id / 100) % 10]];
}

/** Records 1 to `count`, made as they are asked for. @param {number} count */
export function* records(count) {
  for (let id = 1; id <= count; id++) yield { id, categories: categories(id) };
}
