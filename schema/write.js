import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { jobFileSchema } from '../dist/job/json-schema.js';

const path = 'schema/job.schema.json';
writeFileSync(path, `${JSON.stringify(await jobFileSchema(), null, 2)}\n`);
const { status } = spawnSync('npx', ['biome', 'format', '--write', path], { stdio: 'inherit' });
process.exitCode = status ?? 1;
