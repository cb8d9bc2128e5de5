import { afterAll, beforeAll, describe } from 'vitest';
import { sourceConformance } from '../../../test/conformance/source.js';
import { type CitiesApi, startCitiesApi } from '../../hosts/cli/demo/cities-api.js';
import { type HttpOptions, http } from './index.js';

let api: CitiesApi;
beforeAll(async () => {
  api = await startCitiesApi(1_000);
});
afterAll(() => api[Symbol.asyncDispose]());

const size = { param: '_limit', value: 100 };
const total = { header: 'X-Total-Count' };
const styles: readonly [string, HttpOptions['pagination'], number][] = [
  ['pages, one after another', { style: 'page', param: '_page', size }, 1],
  ['pages, eight at once', { style: 'page', param: '_page', size, total }, 8],
  ['offsets, eight at once', { style: 'offset', param: '_start', size, total }, 8],
];

describe.each(styles)('http in %s', (_, pagination, parallel) => {
  sourceConformance({ make: () => http({ url: api.url, pagination, parallel }), rows: 1_000 });
});
