import { describe, inject } from 'vitest';
import { sinkConformance } from '../../../test/conformance/sink.js';
import { scratchDatabase } from '../../../test/servers/database.js';
import { postgres } from './index.js';
import type { Mode } from './target.js';

const servers = inject('postgresServers');
const modes: readonly Mode[] = ['append', 'upsert', 'ignore'];

describe.each(servers)('postgres on $name', ({ url }) => {
  describe.each(modes)('in mode %s', (mode) => {
    sinkConformance({
      bad: { id: 7, name: 'too long for its column' },
      async target() {
        const db = await scratchDatabase(url);
        await db.client.query('CREATE TABLE t (id int PRIMARY KEY, name varchar(10))');
        return {
          sink: () => postgres({ url: db.url, table: 't', mode, key: ['id'] }),
          held: async () => (await db.client.query('SELECT id, name FROM t ORDER BY id')).rows,
          [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
        };
      },
    });
  });
});
