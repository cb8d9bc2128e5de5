// @ts-check
/** Serves the cities API of `sluice demo` in a process of its own, until standard input ends. Prints its address. */
import { startCitiesApi } from '../dist/hosts/cli/demo/cities-api.js';

const api = await startCitiesApi();
console.log(api.url);
process.stdin.resume().on('end', async () => {
  await api[Symbol.asyncDispose]();
});
