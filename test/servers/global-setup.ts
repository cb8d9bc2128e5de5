import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../src/hosts/cli/demo/postgres-server.js';
import { build } from './build.js';
import { installedPostgres, startInstalledPostgres } from './installed-postgres.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the server most tests use: DATABASE_URL where it is set, else the embedded one. */
    postgres: string;
    /** That server and every other version found on this machine. */
    postgresServers: { name: string; url: string }[];
  }
}

/** Builds the command and starts the servers, once for all test files, and says which versions could not be had. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  build();
  const stack: AsyncDisposable[] = [];
  const servers: { name: string; url: string }[] = [];
  const given = process.env.DATABASE_URL;
  if (given) {
    servers.push({ name: 'DATABASE_URL', url: given });
  } else {
    const embedded = await startPostgres({ fsync: 'off', max_connections: '200' });
    stack.push(embedded);
    servers.push({ name: 'embedded', url: embedded.url });
    for (const installed of await installedPostgres()) {
      const server = await startInstalledPostgres(installed);
      stack.push(server);
      servers.push({ name: installed.name, url: server.url });
    }
  }
  console.log(`PostgreSQL servers under test: ${servers.map((server) => server.name).join(', ')}`);
  project.provide('postgres', servers[0]!.url);
  project.provide('postgresServers', servers);
  return async () => {
    for (const server of stack.reverse()) await server[Symbol.asyncDispose]();
  };
}
