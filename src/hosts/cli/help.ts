// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholder of job files, not of JavaScript.

const exitStatus = `
Exit status:
  0  complete: every record is in the table, or was there already
  1  complete, but some records were rejected (see rejects.ndjson in the run folder)
  2  stopped, because more records were rejected than --max-errors allows
  3  failed or incomplete, or the flags or the job file are wrong
  4  interrupted by SIGINT or SIGTERM
  5  crashed: a bug
`;

const postgresVariables = `
  PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSSLMODE ...
                what the sink's address leaves out, as for psql`;
const databaseVariable = `
  DATABASE_URL  runs: the database, when none is given; demo: the server to use`;
const awsVariables = `
  AWS_REGION AWS_PROFILE AWS_ENDPOINT_URL_S3 ...
                s3://... and --iam: as for AWS's own tools`;
const aerospikeVariables = `
  AEROSPIKE_USER AEROSPIKE_PASSWORD
                what an address of Aerospike leaves out`;
const healthVariable = `
  SLUICE_HEALTH_PORT
                as --health-port: where GET /health is answered`;
const logVariable = `
  SLUICE_LOG    debug: the log in the run folder tells of every batch and page`;
const commonVariables = `
  SLUICE_DEBUG  1: errors come with their stack
  NO_COLOR      1: no colours
`;
const measureVariables = environment(postgresVariables, awsVariables);
const runVariables = [awsVariables, aerospikeVariables, healthVariable, logVariable];
const loadVariables = environment(postgresVariables, ...runVariables);
const allVariables = environment(postgresVariables, databaseVariable, ...runVariables);

function environment(...variables: readonly string[]): string {
  return `\nEnvironment:${variables.join('')}${commonVariables}`;
}

export const mainHelp = `
Examples:
  sluice demo
  sluice load cities.csv postgres://user:password@127.0.0.1:5432/db --table cities --create
  sluice run job.yaml --json
  sluice plan job.yaml --within 15m
  sluice resume 20260131T120000-3f9a1c
  sluice runs $DATABASE_URL

  sluice load --help tells more; docs/command.md and docs/job-file.md tell all.
${exitStatus}${allVariables}`;

export const loadHelp = `
Examples:
  A file into a table that is made to fit:
    sluice load cities.csv postgres://u:p@127.0.0.1:5432/db --table cities --create
  Many files, new rows inserted and known rows updated:
    sluice load 'cities/*.csv.gz' $DATABASE_URL --table geo.cities --mode upsert --key id
  Objects of S3, into RDS by a token of IAM (AWS's clients are installed beside Sluice):
    sluice load 's3://shop/orders/*.csv.gz' postgres://loader@$HOST/shop?sslrootcert=rds.pem --iam --table orders
  Standard input, one bad record in a hundred allowed:
    gzip -dc cities.ndjson.gz | sluice load - $DATABASE_URL --format ndjson --table cities --max-errors 1%
  An API, eight pages at once:
    sluice load http://127.0.0.1:8000/cities $DATABASE_URL --table cities --mode upsert --key id \\
      --pagination page --page-param _page --size-param _limit --page-size 100 --parallel 8 \\
      --total-header X-Total-Count \\
      --columns 'id=cityId,name,lon=loc.coordinates[0],lat=loc.coordinates[1]'

  Keyed sets into Aerospike, the keys integers and the bin a list:
    sluice load users.csv aerospike://127.0.0.1:3000/test/users --key user_id --key-type integer --bins categories:json

  The same command after a failure, going on where it stopped:
    sluice load cities.csv $DATABASE_URL --table cities --resume

  The first Ctrl-C finishes what was read, the second stops at once.
${exitStatus}${loadVariables}`;

export const runHelp = `
A job file:
  source:
    http:
      url: http://127.0.0.1:8000/cities
      pagination: { style: page, param: _page, size: { param: _limit, value: 100 } }
      parallel: 8
  columns: { id: cityId, name: name, lon: "loc.coordinates[0]", lat: "loc.coordinates[1]" }
  sink:
    postgres: { url: "\${DATABASE_URL}", table: cities, mode: upsert, key: [id], create: true }

  "\${NAME}" and "\${NAME:-default}" are taken from the environment. docs/job-file.md tells all.

Examples:
  sluice run job.yaml --dry-run
  sluice run job.yaml --workers 4 --json
  sluice run job.yaml --resume --wait
${exitStatus}${loadVariables}`;

export const resumeHelp = `
The run's folder (runs/RUN, or what --run-dir named) keeps the job, but none of its secrets: variables are taken from the
environment again, a password that stood in the sink's address from PGPASSWORD, the password file or --sink, and headers
from --header.

Examples:
  sluice resume 20260131T120000-3f9a1c
  sluice resume runs/20260131T120000-3f9a1c --workers 2 --json
  sluice resume 20260131T120000-3f9a1c --sink $DATABASE_URL --header "Authorization: Bearer $TOKEN"
${exitStatus}${loadVariables}`;

export const runsHelp = `
A run that is "dead" did not end, and its process was last heard of more than 15 s ago: it can be resumed.

Examples:
  sluice runs $DATABASE_URL
  sluice runs show 20260131T120000-3f9a1c $DATABASE_URL
  sluice runs prune $DATABASE_URL --keep 3
  sluice runs .sluice/ledger
`;

export const showHelp = `
Examples:
  sluice runs show 20260131T120000-3f9a1c $DATABASE_URL
  sluice runs show runs/20260131T120000-3f9a1c
`;

export const pruneHelp = `
Examples:
  sluice runs prune $DATABASE_URL
  sluice runs prune $DATABASE_URL --keep 1 --json
`;

export const replayHelp = `
Mend "record" in the lines of the rejects file, in place or in a copy, and change nothing else in them. A line is known by
its split and row: one that was written is passed over from then on, one that is refused again can be mended again.

Examples:
  sluice replay runs/20260131T120000-3f9a1c
  sluice replay runs/20260131T120000-3f9a1c --job job.yaml
  sluice replay runs/20260131T120000-3f9a1c $DATABASE_URL --table cities --mode upsert --key id --from mended.ndjson
  The table was mended, not the records:
    sluice replay 20260131T120000-3f9a1c $DATABASE_URL --table cities
${exitStatus}${loadVariables}`;

export const sweepHelp = `
It makes a schema of its own in the database (sluice_scratch_...), with empty copies of the table, and drops it at the end,
after Ctrl-C too. That takes PostgreSQL and the right to make a schema. Each count is loaded twice at least, so that with the
usual counts it takes three minutes when the sample is large. docs/sweep.md tells more.

Examples:
  sluice sweep job.yaml
  sluice sweep job.yaml --counts 1,8,64 --rows 100000 --seconds 5 --svg curve.svg

Exit status:
  0  measured
  3  failed, or the flags or the job file are wrong
  4  interrupted by SIGINT or SIGTERM
  5  crashed: a bug
${measureVariables}`;

export const planHelp = `
It takes about half a minute, and reads the source five times for some seconds. Scratch copies of the table are made in a
schema of their own, which is dropped at the end, after Ctrl-C too. That takes PostgreSQL and the right to make a schema;
the source can't be standard input. docs/plan.md tells more.

Examples:
  sluice plan job.yaml
  sluice plan job.yaml --within 15m && sluice run job.yaml

Exit status:
  0  measured; with --within, it fits
  1  with --within: it does not fit, or may not
  3  failed, or the flags or the job file are wrong
  4  interrupted by SIGINT or SIGTERM
  5  crashed: a bug
${measureVariables}`;

export const demoHelp = `
It takes some seconds and leaves nothing behind but its run folders. It needs the development packages: run it in a
checkout after npm ci.

Examples:
  npx sluice demo
  DATABASE_URL=postgres://user:password@127.0.0.1:5432/db npx sluice demo
`;
