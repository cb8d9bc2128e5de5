import pg from 'pg';
import type { FailureClass } from '../../contract/index.js';
import { ConfigError, causesOf, codeOf, InDoubt, messageOf, SinkError, SluiceError } from '../../errors.js';
import { type Address, describeServer } from './address.js';

/** Raised by the ledger's fence: another holder has taken the run over. */
export const fenced = 'SL001';

/** SQLSTATEs, then the classes (first two characters) that hold the rest. PostgreSQL's manual, appendix A. */
const bySqlState: Readonly<Record<string, FailureClass>> = {
  // A failover made this server a standby: the next connection reaches the new primary.
  '25006': 'retry',
  '25P03': 'retry',
  '25P04': 'retry',
  '40002': 'divide',
  // Row-level checks; every other 42 tells of the statement, which is the same for all rows.
  '44000': 'divide',
  // The disk may be given room; retries are bounded.
  '53100': 'retry',
  '55006': 'retry',
  '55P03': 'retry',
  // statement_timeout: the server can't keep up.
  '57014': 'throttled',
  '57P01': 'retry',
  '57P02': 'retry',
  '57P03': 'retry',
  '57P05': 'retry',
  '58030': 'retry',
  '58000': 'retry',
  '72000': 'retry',
  [fenced]: 'fatal',
};

const byClass: Readonly<Record<string, FailureClass>> = {
  '08': 'retry',
  '09': 'divide',
  '21': 'divide',
  '22': 'divide',
  '23': 'divide',
  '27': 'divide',
  '38': 'divide',
  '39': 'divide',
  '40': 'retry',
  '53': 'throttled',
  '54': 'divide',
  P0: 'divide',
  '0A': 'fatal',
  '0B': 'fatal',
  '0F': 'fatal',
  '0L': 'fatal',
  '0P': 'fatal',
  '25': 'fatal',
  '26': 'fatal',
  '28': 'fatal',
  '2B': 'fatal',
  '2D': 'fatal',
  '2F': 'fatal',
  '34': 'fatal',
  '3B': 'fatal',
  '3D': 'fatal',
  '3F': 'fatal',
  '42': 'fatal',
  '55': 'fatal',
  '57': 'fatal',
  '58': 'fatal',
  F0: 'fatal',
  HV: 'fatal',
  XX: 'fatal',
};

/** Codes of the system, of Node.js and of our own. */
const byCode: Readonly<Record<string, FailureClass>> = {
  ECONNRESET: 'retry',
  ECONNREFUSED: 'retry',
  ECONNABORTED: 'retry',
  EPIPE: 'retry',
  // A server, or a line to it, that has too much to do to answer in time.
  ETIMEDOUT: 'throttled',
  EHOSTUNREACH: 'retry',
  ENETUNREACH: 'retry',
  ENETDOWN: 'retry',
  EHOSTDOWN: 'retry',
  ENOTCONN: 'retry',
  ENOTFOUND: 'retry',
  EAI_AGAIN: 'retry',
  // The server's Unix socket is gone while it restarts.
  ENOENT: 'retry',
  // This process has no file descriptor left for another connection.
  EMFILE: 'throttled',
  ENFILE: 'throttled',
  EADDRNOTAVAIL: 'throttled',
  'connection-lost': 'retry',
  'connect-timeout': 'throttled',
};

/**
 * What a failed write asks for: by the server's own error where there is one along `cause`, else by the first code there
 * that says anything; without one it is fatal.
 */
export function classify(error: unknown): FailureClass {
  const links = [...causesOf(error)];
  // What is in doubt may be there: written again it could be there twice.
  if (links.some((link) => link instanceof ConfigError || link instanceof InDoubt)) return 'fatal';
  const told = links.find((link) => link instanceof pg.DatabaseError);
  if (told?.code !== undefined) return serverVerdict(told, told.code);
  for (const link of links) {
    const code = 'code' in link ? link.code : undefined;
    if (typeof code !== 'string') continue;
    if (Object.hasOwn(byCode, code)) return byCode[code]!;
    // A wrapper may bear the SQLSTATE of what it stands for; a digit tells it from an errno such as EPIPE.
    if (/^(?=.*\d)[0-9A-Z]{5}$/.test(code)) return sqlStateVerdict(code);
  }
  return 'fatal';
}

function serverVerdict(error: pg.DatabaseError, code: string): FailureClass {
  // A violated rule of the ledger's own tables is nothing that a row could be blamed for.
  if (error.schema === 'sluice') return 'fatal';
  // Row-level security refuses a row with the code of a missing privilege; only the server's routine tells them apart.
  if (code === '42501' && error.routine === 'ExecWithCheckOptions') return 'divide';
  // A value the server tells with its line or its trigger; without either, an option of COPY itself was not taken.
  if (code === '22023' && error.where === undefined) return 'fatal';
  if (takesNoWrites(error)) return 'retry';
  return sqlStateVerdict(code);
}

/**
 * Whether a server says that it is a standby, or was made one: what is to be written has to go to another, by a new connection. A
 * standby answers BEGIN READ WRITE with the code of what is not supported; only the server's routine, which checks a setting, tells what is meant.
 */
export function takesNoWrites({ code, routine }: { code?: string | undefined; routine?: string | undefined }): boolean {
  return code === '25006' || (code === '0A000' && routine === 'call_bool_check_hook');
}

/** Faults of the moment for a batch, but at the start more likely a wrong address, or nothing that waiting would mend. */
const plainAtConnect = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ENOENT', 'EMFILE', 'ENFILE', 'EADDRNOTAVAIL']);

/**
 * Whether what hinders the first connection may pass in a moment: a server that resumes, fails over, scales, restarts or has no
 * connection left. One that refuses connections is waited for unless it is to run on this machine, where people forget to start it.
 */
export function passesAtConnect(error: unknown, { host }: Address): boolean {
  const code = codeOf(error) ?? '';
  if (plainAtConnect.has(code) || (code === 'ECONNREFUSED' && thisMachine.test(host))) return false;
  const kind = classify(error);
  return kind === 'retry' || kind === 'throttled';
}

const thisMachine = /^(localhost|127\.0\.0\.1|::1|\/.*)$/;

/** A class that PostgreSQL does not have was raised by a trigger with a code of its own: some row displeased it. */
function sqlStateVerdict(code: string): FailureClass {
  return bySqlState[code] ?? byClass[code.slice(0, 2)] ?? 'divide';
}

/**
 * An error met on a connection, made fit for `classify`: `pg` gives errors without a code when the connection has ended
 * under a query, so that with `lost` (see Lease) they become `connection-lost`. Errors with a code stay as they are.
 */
export function asConnectionLost(error: unknown, lost: Error | undefined): unknown {
  if (lost === undefined || codeOf(error) !== undefined) return error;
  return new SluiceError('connection-lost', 'the connection to PostgreSQL was lost', { cause: error });
}

/** Codes of OpenSSL's verdict on a certificate, as Node.js names them. */
const untrusted =
  /^(CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED_CERT$|SELF_SIGNED_CERT_IN_CHAIN$|INVALID_CA$|ERR_TLS_CERT_ALTNAME_)/;

/** Says why there is no connection, where, as whom, and what to do. For the start of a run: later the same is retried. */
export function explainConnect(error: unknown, address: Address): SluiceError {
  if (error instanceof ConfigError || error instanceof SinkError) return error;
  const where = `${describeServer(address)} as user "${address.user}"`;
  const [code, problem, remedy] = reason(error, address);
  return new SinkError(code, `can't connect to ${where}: ${problem}. ${remedy}.`, { cause: error });
}

function reason(error: unknown, address: Address): [string, string, string] {
  const { host, port, user, database, sslmode, iam } = address;
  const code = codeOf(error);
  if (iam && (code === '28P01' || code === '28000')) {
    return [
      'access-refused',
      `the server does not take the IAM token (${code})`,
      `Check that user "${user}" is granted rds_iam, that the policy of these credentials allows rds-db:connect for it, that IAM authentication is on, and that the host is the endpoint itself and no alias of it`,
    ];
  }
  switch (code) {
    case '28P01':
      return ['wrong-password', 'wrong user or password', 'Check both, or set PGPASSWORD or a password file'];
    case '28000':
      return [
        'access-refused',
        'the server does not let this user in from here (28000)',
        'Check the user, sslmode and the server’s pg_hba.conf',
      ];
    case '3D000':
      return ['no-such-database', `there is no database "${database}"`, `Check the name, or CREATE DATABASE it`];
    case '53300':
      return ['too-many-connections', 'all its connections are taken', 'Try later, or raise max_connections there'];
    case '57P03':
      return ['server-starting', 'the server is starting, stopping or recovering', 'Try again in a moment'];
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return ['no-such-host', `the host name "${host}" is not known`, 'Check its spelling and the network'];
    case 'ECONNREFUSED':
    case 'ENOENT':
      return [
        'connection-refused',
        `nothing listens on port ${port} there`,
        'Check host and port, and that the server is running',
      ];
    case 'connect-timeout':
      return ['connect-timeout', 'no answer in time', 'Check host, port and firewalls, or raise connect_timeout'];
    default:
      break;
  }
  if (code !== undefined && untrusted.test(code)) {
    return [
      'untrusted-certificate',
      `its certificate does not pass sslmode=${sslmode} (${code})`,
      'Check the host name and sslrootcert',
    ];
  }
  // What a server or pooler says has no secrets of ours in it; poolers say nearly everything with one code.
  const told = [...causesOf(error)].find((link) => link instanceof pg.DatabaseError);
  const problem = told ? `${told.message} (${code})` : (code ?? 'the connection ended early');
  return ['connect-failed', problem, `Look into the server’s log for user "${user}"`];
}

const remedies: Readonly<Record<string, (address: Address) => string>> = {
  '42501': ({ user }) => ` The owner can GRANT what user "${user}" lacks.`,
  '25006': () =>
    ' It takes no writes: give the address of the one that does, which of an Aurora cluster is the cluster endpoint, not the reader endpoint.',
};

/** An error of the server's while the load was prepared, told with the server it came from. */
export function explainRefusal(error: unknown, address: Address): SinkError {
  const told = messageOf(error);
  const code = codeOf(error);
  const what = code === undefined ? told : `${told} (${code})`;
  const remedy = remedies[code ?? '']?.(address) ?? '';
  return new SinkError('refused', `${describeServer(address)} refused to prepare the load: ${what}.${remedy}`, {
    cause: error,
  });
}
