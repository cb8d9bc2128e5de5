import { ConfigError } from './errors.js';

/**
 * A package of the AWS SDK, which only those install who need it.
 * @param name As npm knows it.
 * @param need What it is needed for, as the start of a sentence: `files are to be read from S3`.
 * @throws ConfigError `no-aws-sdk` when it can't be loaded.
 */
export async function awsSdk<Package>(name: string, need: string, load: () => Promise<Package>): Promise<Package> {
  try {
    return await load();
  } catch (cause) {
    const advice = `npm install ${name} beside Sluice; in the runtimes of AWS Lambda it is there`;
    throw new ConfigError('no-aws-sdk', `${need}, and the client for it is missing: ${advice}`, { cause });
  }
}
