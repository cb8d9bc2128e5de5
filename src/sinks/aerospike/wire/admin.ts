import { frame, protocolFault } from './frames.js';
import { messageType } from './protocol.js';

/** Commands and fields of the admin messages (aerospike-client-go: `admin_command.go`). */
const command = { authenticate: 0, login: 20 } as const;
const field = { user: 0, credential: 3, token: 5, timeToLive: 6 } as const;
const header = 16;

/** Passwords are hashed with this salt of the protocol's, so that the server's own hash can be compared. */
const salt = '$2a$10$7EqJtq98hPqEX7fNZaFWoO';

/** What a password is sent as. */
export async function hashPassword(password: string): Promise<string> {
  // Only needed where the server has users.
  const { default: bcrypt } = await import('bcryptjs');
  return await bcrypt.hash(password, salt);
}

/** Asks for a session with a hashed password. */
export function loginRequest(user: string, credential: string): Buffer {
  return adminFrame(command.login, [
    [field.user, Buffer.from(user)],
    [field.credential, Buffer.from(credential)],
  ]);
}

/** Enters another connection into a session. */
export function authenticateRequest(user: string, token: Buffer): Buffer {
  return adminFrame(command.authenticate, [
    [field.user, Buffer.from(user)],
    [field.token, token],
  ]);
}

function adminFrame(which: number, fields: readonly (readonly [number, Buffer])[]): Buffer {
  const head = Buffer.alloc(header);
  head[2] = which;
  head[3] = fields.length;
  const parts = fields.map(([id, value]) => {
    const part = Buffer.alloc(5 + value.length);
    part.writeUInt32BE(value.length + 1);
    part[4] = id;
    value.copy(part, 5);
    return part;
  });
  return frame(messageType.admin, Buffer.concat([head, ...parts]));
}

export interface AdminAnswer {
  readonly code: number;
  /** What further connections are let in with; undefined from a server without users. */
  readonly token: Buffer | undefined;
  /** Seconds the session lasts; undefined when it does not end. */
  readonly seconds: number | undefined;
}

/** @throws SluiceError `protocol-fault` when a length leads out of the message. */
export function readAdminAnswer(body: Buffer): AdminAnswer {
  if (body.length < header) throw protocolFault(`an admin message of ${body.length} bytes`);
  let token: Buffer | undefined;
  let seconds: number | undefined;
  let at = header;
  for (let fields = body[3]!; fields > 0; fields--) {
    if (body.length - at < 5) throw protocolFault('it ends within a field');
    const length = body.readUInt32BE(at) - 1;
    const value = body.subarray(at + 5, at + 5 + length);
    if (length < 0 || value.length !== length) throw protocolFault(`an admin field of ${length} bytes`);
    if (body[at + 4] === field.token) token = Buffer.from(value);
    if (body[at + 4] === field.timeToLive && length === 4) seconds = value.readUInt32BE();
    at += 5 + length;
  }
  return { code: body[1]!, token, seconds };
}
