import { expect, test } from 'vitest';
import { scratchDatabase } from '../servers/database.js';
import { people, startTroubledApi } from '../servers/troubled-api.js';
import { doorTo } from '../sinks/postgres/door.js';
import { startSandbox } from './lambda.js';

test('a database that resumes is waited for, over invocations where that takes longer than one', async () => {
  await using database = await scratchDatabase();
  await database.client.query('CREATE TABLE people (id int PRIMARY KEY, name text)');
  await using api = await startTroubledApi(() => ({ body: people(50) }));
  await using door = await doorTo(database.url);
  const JOB = JSON.stringify({
    source: { http: { url: api.url } },
    sink: { postgres: { url: `${door.url}?connect_timeout=1&sslmode=disable`, table: 'people', mode: 'upsert' } },
  });
  await using sandbox = await startSandbox({ JOB });
  // Paused: whoever comes is left hanging.
  door.mood = 'silent';
  const first = await sandbox.invoke({}, { limit: 5_000 });
  expect(first).toMatchObject({ kind: 'answer', value: { status: 'continue', run: null, next: { idle: 1 } } });
  expect(sandbox.log.join()).toContain('before the target had told');
  setTimeout(() => {
    door.mood = 'open';
  }, 1_500);
  const second = await sandbox.invoke({ idle: 1 });
  expect(second).toMatchObject({ kind: 'answer', value: { status: 'complete', report: { written: 50 } } });
  expect(sandbox.starts).toBe(1);
});
