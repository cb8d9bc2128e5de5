// @ts-check
/**
 * The official Aerospike client in a process of its own, for it can abort the process it runs in. It is told what to do by
 * messages `{ id, call, args }` and answers `{ id, result }` or `{ id, error }`; official-client.ts speaks with it.
 */
import aerospike from 'aerospike';

aerospike.setDefaultLogging({ level: aerospike.log.OFF });

/** @type {import('aerospike').Client | undefined} */
let client;

/** Records of one request of the client. */
const together = 1_000;

const calls = {
  /** @param {string} hosts */
  async connect(hosts) {
    const policies = {
      batch: new aerospike.BatchPolicy({ totalTimeout: 30_000, socketTimeout: 10_000, maxRetries: 20 }),
      read: new aerospike.ReadPolicy({ totalTimeout: 30_000, socketTimeout: 10_000, maxRetries: 20 }),
      write: new aerospike.WritePolicy({
        totalTimeout: 30_000,
        socketTimeout: 10_000,
        key: aerospike.policy.key.DIGEST,
      }),
      query: new aerospike.QueryPolicy({ totalTimeout: 120_000, socketTimeout: 30_000 }),
    };
    client = await aerospike.connect({ hosts, policies, log: { level: aerospike.log.OFF } });
  },

  /** @param {string} namespace @param {string} set @param {readonly (number | bigint | string | Buffer)[]} keys */
  async read(namespace, set, keys) {
    const found = [];
    for (let at = 0; at < keys.length; at += together) {
      const wanted = keys.slice(at, at + together).map((key) => ({
        type: aerospike.batchType.BATCH_READ,
        key: new aerospike.Key(namespace, set, /** @type {string} */ (key)),
        readAllBins: true,
      }));
      for (const { status, record } of (await client?.batchRead(wanted)) ?? []) {
        if (status === aerospike.status.OK) found.push({ bins: record.bins, generation: record.gen, ttl: record.ttl });
        else if (status === aerospike.status.ERR_RECORD_NOT_FOUND) found.push(null);
        else throw new Error(`a record could not be read: result ${status}`);
      }
    }
    return found;
  },

  /** @param {string} namespace @param {string} set @param {number | string} key @param {Record<string, unknown>} bins */
  async put(namespace, set, key, bins) {
    await client?.put(new aerospike.Key(namespace, set, key), /** @type {import('aerospike').AerospikeBins} */ (bins));
  },

  /** All records of a set; keys only of those that were stored with them. @param {string} namespace @param {string} set */
  async scan(namespace, set) {
    const stream = client?.query(namespace, set).foreach();
    /** @type {{ key: unknown, bins: unknown }[]} */
    const records = [];
    await new Promise((resolve, reject) => {
      stream?.on('data', ({ key, bins }) => records.push({ key: key.key ?? null, bins }));
      stream?.on('error', reject).on('end', resolve);
    });
    return records;
  },
};

process.on(
  'message',
  async (/** @type {{ id: number, call: keyof typeof calls, args: never[] }} */ { id, call, args }) => {
    try {
      const operation = /** @type {(...args: never[]) => Promise<unknown>} */ (calls[call]);
      process.send?.({ id, result: await operation(...args) });
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? error.message : String(error) });
    }
  },
);
process.on('disconnect', () => process.exit());
