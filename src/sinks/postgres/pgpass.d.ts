declare module 'pgpass' {
  /** Looks a password up in PGPASSFILE or ~/.pgpass, as libpq does. */
  function pgpass(
    connection: { host: string; port: number; database: string; user: string },
    found: (password: string | undefined) => void,
  ): void;
  export default pgpass;
}
