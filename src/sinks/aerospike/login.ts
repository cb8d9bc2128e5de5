import { SinkError } from '../../errors.js';
import type { Connection } from './connection.js';
import { refusesLogin } from './results.js';
import { authenticateRequest, hashPassword, loginRequest } from './wire/admin.js';

/** Result code of a server that has no users: it lets everybody in. */
const securityOff = 52;
const securityUnsupported = 51;
/** Codes that say that a session is over, or was never there. */
const sessionOver = new Set([56, 65, 66, 80]);
/** Milliseconds before its end at which a session is not begun with any more. */
const margin = 60_000;

/** Who comes to the cluster. */
export class User {
  readonly name: string;
  readonly #password: string;
  #credential: Promise<string> | undefined;

  constructor(name: string, password: string) {
    this.name = name;
    this.#password = password;
  }

  /** What the password is sent as; it takes a tenth of a second to make. */
  credential(): Promise<string> {
    this.#credential ??= hashPassword(this.#password);
    return this.#credential;
  }
}

/** A user's session with one node: the first connection logs in, the others show what it was given. */
export class Session {
  readonly #user: User | undefined;
  #token: Buffer | undefined;
  #endsAt = Number.POSITIVE_INFINITY;

  constructor(user: User | undefined) {
    this.#user = user;
  }

  /** Lets a new connection in. @throws SinkError `access-refused`. */
  async enter(connection: Connection): Promise<void> {
    const user = this.#user;
    if (user === undefined) return;
    if (this.#token !== undefined && performance.now() < this.#endsAt) {
      const { code } = await connection.admin(authenticateRequest(user.name, this.#token));
      if (code === 0) return;
      if (!sessionOver.has(code)) throw refused(user, code);
    }
    this.#token = undefined;
    const { code, token, seconds } = await connection.admin(loginRequest(user.name, await user.credential()));
    if (code === securityOff || code === securityUnsupported) return;
    if (code !== 0) throw refused(user, code);
    this.#token = token;
    this.#endsAt = seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + seconds * 1_000 - margin;
  }
}

function refused({ name }: User, code: number): SinkError {
  return new SinkError(
    'access-refused',
    `Aerospike does not let user "${name}" in: ${refusesLogin(code)}. Check the user and the password in the address, or AEROSPIKE_USER and AEROSPIKE_PASSWORD`,
  );
}
