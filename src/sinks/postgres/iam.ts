import type { Signer } from '@aws-sdk/rds-signer';
import { awsSdk } from '../../aws-sdk.js';
import { ConfigError, messageOf, SinkError } from '../../errors.js';
import type { Address } from './address.js';

/** Milliseconds a token is used for further connections. It is good for 15 minutes, if the credentials it is made with are. */
const fresh = 60_000;

/** Database passwords that AWS's IAM stands for, made from the credentials of this process. */
export interface Tokens {
  /** A token; connections made within a minute share one. @throws SinkError, ConfigError `no-aws-sdk`, `no-region`. */
  get(): Promise<string>;
  /** Has the next one made anew: the server did not take the last. */
  forget(): void;
}

export function iamTokens(address: Address, now: () => number = Date.now): Tokens {
  let signer: Promise<Signer> | undefined;
  let last: { readonly token: Promise<string>; readonly until: number } | undefined;
  const make = async () => {
    try {
      signer ??= signerFor(address);
      return await (await signer).getAuthToken();
    } catch (error) {
      last = undefined;
      throw explainToken(error, address);
    }
  };
  return {
    async get() {
      if (last === undefined || now() >= last.until) last = { token: make(), until: now() + fresh };
      return await last.token;
    },
    forget() {
      last = undefined;
    },
  };
}

async function signerFor({ host, port, user }: Address): Promise<Signer> {
  const { Signer } = await awsSdk(
    '@aws-sdk/rds-signer',
    'a token of IAM is to be made',
    () => import('@aws-sdk/rds-signer'),
  );
  const region = regionOf(host) ?? (process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION);
  return new Signer({ hostname: host, port, username: user, ...(region && { region }) });
}

/** As the endpoints of RDS, Aurora and RDS Proxy have it: `name.id.eu-central-1.rds.amazonaws.com`. */
export function regionOf(host: string): string | undefined {
  return /\.([a-z]{2}(?:-[a-z]+)+-\d+)\.rds\.amazonaws\.com(?:\.cn)?\.?$/i.exec(host)?.[1]?.toLowerCase();
}

function explainToken(error: unknown, { user }: Address): unknown {
  if (error instanceof ConfigError) return error;
  const why = messageOf(error);
  if (/region is missing/i.test(why)) {
    const message =
      'for a token of IAM the region of the database has to be known, and its host name does not tell it: set AWS_REGION';
    return new ConfigError('no-region', message, { cause: error });
  }
  const advice =
    'check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE, or the role of this machine or function';
  return new SinkError('no-credentials', `no IAM token could be made for user "${user}" (${why}): ${advice}`, {
    cause: error,
  });
}
