import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { ConfigError } from '../../errors.js';

const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
type SslMode = (typeof sslModes)[number];

/** Where the server is and who we are there: a URI, completed from the environment and libpq's defaults. */
export interface Address {
  /** A name, an IP address, or the directory of a Unix socket (it then starts with `/`). */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** Undefined: the password file is asked, if the server wants a password at all. */
  readonly password: string | undefined;
  /** The password is a token of AWS's IAM, made when a connection is. */
  readonly iam: boolean;
  readonly sslmode: SslMode;
  /** Paths; `system` as root certificate stands for the roots that Node.js trusts. */
  readonly sslrootcert: string | undefined;
  readonly sslcert: string | undefined;
  readonly sslkey: string | undefined;
  /** SCRAM bound to the TLS connection where the server offers it. */
  readonly channelBinding: boolean;
  /** Settings for the session, as libpq's `options`; poolers may refuse them. */
  readonly options: string | undefined;
  readonly applicationName: string;
  /** Milliseconds; 0 waits without end. */
  readonly connectTimeout: number;
}

export interface Surroundings {
  /** As in Address; default false. */
  readonly iam?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Whether a file is there; to find the server's Unix socket. */
  readonly exists?: (path: string) => boolean;
}

/** Query parameters of the URI that are understood, with the variable that stands in for each. */
const parameters = {
  host: 'PGHOST',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  channel_binding: 'PGCHANNELBINDING',
  options: 'PGOPTIONS',
  application_name: 'PGAPPNAME',
  connect_timeout: 'PGCONNECT_TIMEOUT',
} as const;
type Parameter = keyof typeof parameters;

/** Where packaged servers (Debian, Red Hat) and self-built ones put their socket. */
const socketDirectories = ['/var/run/postgresql', '/tmp'];

/**
 * Reads a `postgres://` URI and fills what it leaves out from PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE,
 * PGSSLROOTCERT, PGSSLCERT, PGSSLKEY, PGCHANNELBINDING, PGOPTIONS, PGAPPNAME and PGCONNECT_TIMEOUT, then as libpq does: the user of the operating
 * system, a database of the user's name, the local Unix socket where there is one and else `localhost`, port 5432.
 * @throws ConfigError that never repeats the URI, for it may hold a password.
 */
export function parseAddress(
  url: string | undefined,
  { env = process.env, exists = existsSync, iam = false }: Surroundings = {},
): Address {
  const given = url === undefined ? {} : parseUri(url);
  const pick = (name: Parameter) => given.query?.get(name) || env[parameters[name]] || undefined;
  const port = readPort(given.port ?? (env.PGPORT || '5432'));
  const user = given.user ?? (env.PGUSER || osUser());
  const sslrootcert = pick('sslrootcert');
  return {
    host: given.host ?? pick('host') ?? socketDirectory(port, exists) ?? 'localhost',
    port,
    user,
    database: given.database ?? (env.PGDATABASE || user),
    password: readPassword(given.password, env.PGPASSWORD, iam),
    iam,
    sslmode: readSslMode(pick('sslmode'), sslrootcert, iam),
    sslrootcert,
    sslcert: pick('sslcert'),
    sslkey: pick('sslkey'),
    channelBinding: readChannelBinding(pick('channel_binding')),
    options: pick('options'),
    applicationName: pick('application_name') ?? 'sluice',
    connectTimeout: readTimeout(pick('connect_timeout')),
  };
}

/** Server and database without the user or secrets: the same for everyone who writes there. */
export function describeServer({ host, port, database }: Address): string {
  const name = host.startsWith('/') ? encodeURIComponent(host) : host.includes(':') ? `[${host}]` : host;
  return `postgres://${name}:${port}/${encodeURIComponent(database)}`;
}

interface UriParts {
  readonly host?: string | undefined;
  readonly port?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly database?: string | undefined;
  readonly query?: ReadonlyMap<Parameter, string>;
}

/**
 * Stricter than a browser's URL past the authority (an `@` or `/` there is a password's that was not encoded) and laxer
 * within it (user and port may stand without a host).
 */
const uri =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/?#]*)(?::(?<password>[^/?#]*))?@)?(?<host>\[[^\]/?#@]+\]|[^:@/?#[\]]*)(?::(?<port>[^@/?#]*))?(?:\/(?<database>[^@/?#]*))?(?:\?(?<query>[^@#]*))?$/;

function parseUri(url: string): UriParts {
  const parts = uri.exec(url)?.groups;
  if (parts === undefined) throw misread();
  if (parts.host?.includes(',')) {
    throw new ConfigError('bad-url', 'the PostgreSQL address names several hosts; give the one that takes writes');
  }
  return {
    host: decode(parts.host?.replace(/^\[(.*)\]$/, '$1')),
    port: decode(parts.port),
    user: decode(parts.user),
    password: decode(parts.password),
    database: decode(parts.database),
    query: parseQuery(parts.query ?? ''),
  };
}

function parseQuery(text: string): ReadonlyMap<Parameter, string> {
  const query = new Map<Parameter, string>();
  for (const part of text.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    if (!isParameter(name)) {
      const named = /^\w{1,40}$/.test(name) ? `"${name}"` : 'one parameter';
      throw new ConfigError(
        'bad-url',
        `the PostgreSQL address has ${named} in its query, which is not known here: use ${Object.keys(parameters).join(', ')}`,
      );
    }
    query.set(name, equals < 0 ? '' : (decode(part.slice(equals + 1)) ?? ''));
  }
  return query;
}

function isParameter(name: string): name is Parameter {
  return Object.hasOwn(parameters, name);
}

/** Undefined for what is empty: libpq too takes an empty part as left out. */
function decode(text = ''): string | undefined {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    throw misread();
  }
  if (decoded.includes('\0')) throw misread();
  return decoded === '' ? undefined : decoded;
}

function misread(): ConfigError {
  return new ConfigError(
    'bad-url',
    'the PostgreSQL address is not a valid URI: it must look like postgres://user:password@host:port/database, and within user, password and database the characters @ : / ? # % [ ] must be percent-encoded (@ as %40)',
  );
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65535) {
    throw new ConfigError(
      'bad-url',
      'the port of the PostgreSQL server (in the address, or PGPORT) must be 1 to 65535',
    );
  }
  return port;
}

function readPassword(
  given: string | undefined,
  fromEnvironment: string | undefined,
  iam: boolean,
): string | undefined {
  if (!iam) return given ?? (fromEnvironment || undefined);
  if (given === undefined) return undefined;
  throw new ConfigError(
    'bad-url',
    'tokens of IAM stand in for the password: take the one in the PostgreSQL address out',
  );
}

function readSslMode(text: string | undefined, rootcert: string | undefined, iam: boolean): SslMode {
  if (text === undefined) {
    if (rootcert === 'system' || (iam && rootcert !== undefined)) return 'verify-full';
    return iam ? 'require' : 'prefer';
  }
  const mode = sslModes.find((known) => known === text);
  if (mode === undefined) {
    throw new ConfigError('bad-sslmode', `"${text}" is not an sslmode: use ${sslModes.join(', ')}`);
  }
  if (iam && !['require', 'verify-ca', 'verify-full'].includes(mode)) {
    throw new ConfigError(
      'bad-sslmode',
      `sslmode=${mode} might send an IAM token in the clear: use verify-full, or at least require`,
    );
  }
  if (rootcert === 'system' && mode !== 'verify-full') {
    throw new ConfigError(
      'bad-sslmode',
      `sslmode=${mode} is too weak for sslrootcert=system, where anyone can own a certificate: use verify-full`,
    );
  }
  return mode;
}

/** Seconds in libpq's words; 10 s when nothing is said, for a load that hangs tells nobody why. */
function readTimeout(text: string | undefined): number {
  if (text === undefined) return 10_000;
  if (!/^-?\d{1,6}$/.test(text)) {
    throw new ConfigError('bad-url', 'connect_timeout (or PGCONNECT_TIMEOUT) must be a whole number of seconds');
  }
  return Math.max(0, Number(text)) * 1000;
}

function socketDirectory(port: number, exists: (path: string) => boolean): string | undefined {
  if (process.platform === 'win32') return undefined;
  return socketDirectories.find((directory) => exists(`${directory}/.s.PGSQL.${port}`));
}

function osUser(): string {
  try {
    return userInfo().username;
  } catch (error) {
    // A container may run under a user id that has no name.
    throw new ConfigError('no-user', 'no user for PostgreSQL: give one in the address, or set PGUSER', {
      cause: error,
    });
  }
}

/** Whether `require` is kept can't be seen through `pg`, so it is taken as libpq's `prefer`. */
function readChannelBinding(text: string | undefined): boolean {
  if (text === undefined || text === 'prefer' || text === 'require') return true;
  if (text === 'disable') return false;
  throw new ConfigError('bad-url', 'channel_binding (or PGCHANNELBINDING) must be disable, prefer or require');
}
