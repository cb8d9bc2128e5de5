/**
 * Numbers of Aerospike's wire protocol, as its public clients have them (aerospike-client-go: `command.go`,
 * `field_type.go`, `types/particle_type`).
 */

/** Bytes before each message: version, type, and a length of 48 bits. */
export const frameHeader = 8;
export const protocolVersion = 2;
/** Bytes of a message's own header, which is the same in requests and answers. */
export const messageHeader = 22;

export const messageType = { info: 1, admin: 2, record: 3 } as const;

export const fieldType = { namespace: 0, set: 1, key: 2, digest: 4, batch: 41 } as const;

export const particle = {
  null: 0,
  integer: 1,
  double: 2,
  string: 3,
  bytes: 4,
  boolean: 17,
  map: 19,
  list: 20,
} as const;

export const info1 = { batch: 8 } as const;
export const info2 = { write: 1, generation: 4, generationGreater: 8, durableDelete: 16, createOnly: 32 } as const;
export const info3 = { last: 1, updateOnly: 8, createOrReplace: 16 } as const;

/** Of a whole batch: the server may do the work in the thread that read the message, and answers for every record. */
export const batchFlag = { inline: 1, answerAll: 4 } as const;
/** Of one record of a batch: all as in the one before, but for the digest; or info bytes, generation and TTL follow. */
export const batchRecord = { repeat: 1, write: 0x0e } as const;

/** Operation: write a bin. */
export const writeOperation = 2;

export const partitions = 4096;
export const digestLength = 20;
/** Bytes of a bin's name. */
export const longestBinName = 15;
