// @ts-check
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeCsv } from './rows.js';

/** The data set as CSV files in a folder, each made when first asked for. @typedef {ReturnType<typeof csvFiles>} CsvFiles */

/** @param {string} folder */
export function csvFiles(folder) {
  /** @type {Map<string, Promise<string>>} */
  const made = new Map();

  /**
   * @param {string} name
   * @param {Parameters<typeof writeCsv>[1]} range
   */
  const make = (name, range) => {
    const path = join(folder, `${name}.csv`);
    const writing = made.get(path) ?? writeCsv(path, range).then(() => path);
    made.set(path, writing);
    return writing;
  };

  return {
    /** Rows 1 to `rows` in one file. @param {number} rows */
    whole: (rows, version = 0) => make(`rows-${rows}-v${version}`, { to: rows, version }),

    /**
     * The same rows cut at record ends into `parts` files of like size, each with a header.
     * @param {number} rows
     * @param {number} parts
     */
    cut: (rows, parts, version = 0) =>
      Promise.all(
        Array.from({ length: parts }, (_, part) =>
          make(`rows-${rows}-v${version}-${part + 1}of${parts}`, {
            from: Math.floor((rows * part) / parts),
            to: Math.floor((rows * (part + 1)) / parts),
            version,
          }),
        ),
      ),

    make,

    /** Megabytes of a file. @param {string} path */
    size: async (path) => (await stat(path)).size / 1e6,
  };
}
