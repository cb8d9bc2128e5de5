import { ConfigError } from '../../errors.js';
import type { Address } from './wire/info.js';

/** A cluster and the set of it that is meant. */
export interface Target {
  /** Nodes to begin with; they know the others. */
  readonly seeds: readonly Address[];
  readonly namespace: string;
  /** Empty for the records of a namespace that belong to no set. */
  readonly set: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

const defaultPort = 3000;
/** Bytes a server gives names. */
const longestNamespace = 31;
const longestSet = 63;
const example = 'expected an address such as aerospike://host:3000,host2:3000/namespace/set';

/**
 * Reads `aerospike://user:password@host:3000,host2:3000/namespace/set`. A host may be followed by the name in its
 * certificate, `host:name:3000`, as Aerospike's own tools have it.
 * @throws ConfigError `bad-address`. No message repeats what may be a password.
 */
export function parseTarget(url: string, environment: NodeJS.ProcessEnv = process.env): Target {
  const match = /^aerospike:\/\/(?:([^/@]*)@)?([^/?#@]+)\/([^/?#@]+)(?:\/([^/?#@]*))?$/.exec(url);
  const [, login, hosts = '', namespaceText = '', setText = ''] = match ?? [];
  if (match === null) throw new ConfigError('bad-address', `the address of the cluster is not valid: ${example}`);
  const namespace = decode(namespaceText);
  const set = decode(setText);
  checkName('namespace', namespace, longestNamespace);
  if (set !== '') checkName('set', set, longestSet);
  const colon = login?.indexOf(':') ?? -1;
  const user = login === undefined ? undefined : decode(colon < 0 ? login : login.slice(0, colon));
  const password = login === undefined || colon < 0 ? undefined : decode(login.slice(colon + 1));
  return {
    seeds: hosts.split(',').map(parseHost),
    namespace,
    set,
    user: user ?? environment.AEROSPIKE_USER,
    password: password ?? environment.AEROSPIKE_PASSWORD,
  };
}

function parseHost(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::([^:]*[^:\d][^:]*))?(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[4] === undefined ? defaultPort : Number(match[4]);
  if (host === undefined || port < 1 || port > 65_535) {
    // What stands there may be a password whose host was forgotten.
    throw new ConfigError(
      'bad-address',
      `what stands before the namespace is no host and port of the cluster: ${example}`,
    );
  }
  return { host, port, ...(match?.[3] !== undefined && { tlsName: match[3] }) };
}

function checkName(what: string, name: string, longest: number): void {
  if (name !== '' && Buffer.byteLength(name) <= longest && !/[;:\s]/.test(name)) return;
  throw new ConfigError(
    'bad-address',
    `the ${what} in the address is not valid: it has 1 to ${longest} bytes, no ; and no :`,
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError(
      'bad-address',
      'a % in the address is not followed by two hexadecimal digits: write %25 for it',
    );
  }
}

/** `host:port`, IPv6 in brackets. */
export function describeAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The target without user and password. */
export function describeTarget({ seeds, namespace, set }: Target): string {
  const path = set === '' ? namespace : `${namespace}/${set}`;
  return `aerospike://${seeds.map(describeAddress).join(',')}/${path}`;
}
