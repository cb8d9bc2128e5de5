// @ts-check
/**
 * The official client in a process of its own, for it can abort the one it runs in: told what to put by messages, it
 * answers each when the server has. Told to disconnect, it ends.
 */
import aerospike from 'aerospike';

/** @type {import('aerospike').Client | undefined} */
let client;

/**
 * A number comes as `{ double }` where it is to go as a double though it is whole.
 * @param {unknown} value @returns {unknown}
 */
function revive(value) {
  if (Array.isArray(value)) return value.map(revive);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [revive(key), revive(item)]));
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (typeof value !== 'object' || value === null) return value;
  if ('double' in value) return new aerospike.Double(Number(value.double));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revive(item)]));
}

/** @param {{ config?: object, namespace: string, set: string, key: unknown, bins: unknown, meta: object, policy: object }} asked */
async function answer({ config, namespace, set, key, bins, meta, policy }) {
  if (config) {
    client = await aerospike.connect({ ...config, log: { level: aerospike.log.OFF } });
    return;
  }
  await client?.put(
    new aerospike.Key(namespace, set, /** @type {string} */ (revive(key))),
    /** @type {import('aerospike').AerospikeBins} */ (revive(bins)),
    meta,
    new aerospike.WritePolicy({ totalTimeout: 0, socketTimeout: 0, maxRetries: 0, ...policy }),
  );
}

process.on('message', async (/** @type {never} */ asked) => {
  try {
    await answer(asked);
    process.send?.({});
  } catch (error) {
    process.send?.({ error: error instanceof Error ? error.message : String(error) });
  }
});
process.on('disconnect', () => process.exit());
