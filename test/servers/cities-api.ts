export { type CitiesApi, startCitiesApi } from '../../src/hosts/cli/demo/cities-api.js';
