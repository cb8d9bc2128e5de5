import { expect, test } from 'vitest';
import { awsSdk } from './aws-sdk.js';

test('a package that is there is given as it is', async () => {
  const there = { Client: class {} };
  expect(await awsSdk('@aws-sdk/client-s3', 'files are to be read', async () => there)).toBe(there);
});

test('a package that is missing is named, with what it is needed for and how it is had', async () => {
  const missing = awsSdk(
    '@aws-sdk/client-none',
    'files are to be read',
    () => import('@aws-sdk/client-none' as string),
  );
  await expect(missing).rejects.toMatchObject({
    name: 'ConfigError',
    code: 'no-aws-sdk',
    message:
      'files are to be read, and the client for it is missing: npm install @aws-sdk/client-none beside Sluice; in the runtimes of AWS Lambda it is there',
    cause: { code: expect.stringMatching(/MODULE_NOT_FOUND$/) },
  });
});
