// @ts-check
/** A function as a user writes it, with its job, or several, in the environment. */
import { createHandler } from '../../../dist/hosts/lambda/index.js';

const { JOB, JOBS, GO_ON } = process.env;

export const handler = createHandler(
  JOBS === undefined ? (JOB ?? '') : { jobs: JSON.parse(JOBS) },
  GO_ON === 'self' ? { goOn: GO_ON } : {},
);
