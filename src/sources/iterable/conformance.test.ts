import { describe } from 'vitest';
import { sourceConformance } from '../../../test/conformance/source.js';
import { iterable } from './index.js';

const records = Array.from({ length: 5_000 }, (_, id) => ({ id, name: `n${id}` }));

describe('iterable over an array', () => {
  sourceConformance({ make: () => iterable(records), rows: records.length });
});

describe('iterable over an async generator of arrays', () => {
  async function* pages() {
    for (let at = 0; at < records.length; at += 700) yield records.slice(at, at + 700);
  }
  sourceConformance({ make: () => iterable(pages()), rows: records.length });
});
