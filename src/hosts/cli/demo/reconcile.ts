import { createHash } from 'node:crypto';
import type pg from 'pg';
import * as z from 'zod';
import { SourceError } from '../../../errors.js';

/** How many cities there are, and a hash over all of them. Equal fingerprints: the same cities, value for value. */
export interface Fingerprint {
  readonly cities: number;
  /** SHA-256, hex. */
  readonly checksum: string;
}

const city = z.object({
  cityId: z.int(),
  name: z.string(),
  country: z.string(),
  population: z.int(),
  loc: z.object({ coordinates: z.tuple([z.number(), z.number()]) }),
});

/** Asks the API for its whole listing in one piece. */
export async function fingerprintOfApi(listing: URL): Promise<Fingerprint> {
  const response = await fetch(listing);
  if (!response.ok) throw new SourceError('bad-status', `${listing.href} answered ${response.status}.`);
  const cities = z.array(city).parse(await response.json());
  return fingerprint(cities);
}

/** Coordinates have five decimals in this data; written out, so that both sides print them alike. */
function fingerprint(cities: readonly z.infer<typeof city>[]): Fingerprint {
  const lines = [...cities]
    .sort((a, b) => a.cityId - b.cityId)
    .map(({ cityId, name, country, population, loc: { coordinates } }) =>
      [cityId, name, country, population, ...coordinates.map((degrees) => degrees.toFixed(5))].join('|'),
    );
  return { cities: lines.length, checksum: createHash('sha256').update(lines.join('\n')).digest('hex') };
}

/** Has the database count and hash what its table holds. `table` is ready for SQL. */
export async function fingerprintOfTable(client: pg.Client, table: string): Promise<Fingerprint> {
  const { rows } = await client.query<{ cities: number; checksum: string | null }>(`
    SELECT count(*)::int AS cities, encode(sha256(convert_to(coalesce(string_agg(concat_ws('|',
      id, name, country, population, round(lon::numeric, 5), round(lat::numeric, 5)
    ), E'\\n' ORDER BY id::bigint), ''), 'UTF8')), 'hex') AS checksum
    FROM ${table}`);
  return { cities: rows[0]!.cities, checksum: rows[0]!.checksum ?? '' };
}
