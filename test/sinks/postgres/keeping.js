// @ts-check
/** A program that uses a connection, keeps it, takes it up again, keeps it again, and has nothing more to do. */
import { parseAddress } from '../../../dist/sinks/postgres/address.js';
import { KeptConnections } from '../../../dist/sinks/postgres/kept-connections.js';
import { createPool } from '../../../dist/sinks/postgres/pool.js';

const address = parseAddress(process.argv[2]);
const kept = new KeptConnections();

/** @param {string} question */
async function ask(question) {
  const pool = createPool(address, kept);
  const lease = await pool.acquire(new AbortController().signal);
  const { rows } = await lease.client.query(`SELECT pg_backend_pid() AS pid, ${question}`);
  pool.servedBy(lease.client, rows[0].pid);
  lease.release();
  await pool[Symbol.asyncDispose]();
  return rows[0].pid;
}

const first = await ask('1');
// Nothing but the connection holds the process meanwhile.
const second = await ask('pg_sleep(0.3)');
console.log(JSON.stringify({ same: first === second, kept: kept.count(address) }));
