// @ts-check
/**
 * Runs the tests of the Lambda handler as it will be run: bundled, by AWS's own Runtime Interface Client, within 128 MB, and
 * with a million records: `npm run test:lambda [-- test files]`. The client is compiled first, once; that needs a C++ toolchain.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { lambdaClient } from './lambda-client.js';

const client = lambdaClient();
execFileSync('npm', ['run', 'build', '--silent'], { stdio: 'inherit' });
execFileSync(process.execPath, ['scripts/build-lambda.js'], { stdio: 'inherit' });
const chosen = process.argv.slice(2);
// One file at a time: what is measured is not to be disturbed.
const args = ['vitest', 'run', '--no-file-parallelism', ...(chosen.length > 0 ? chosen : ['test/lambda'])];
const env = {
  ...process.env,
  SLUICE_LAMBDA_CLIENT: client,
  SLUICE_LAMBDA_ROWS: '1000000',
  SLUICE_LAMBDA_LIMIT: '5000',
};
process.exitCode = spawnSync('npx', args, { stdio: 'inherit', env }).status ?? 1;
