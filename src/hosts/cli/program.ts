import { Command } from 'commander';
import type { LoadFlags, RunFlags } from '../../job/flags.js';
import type { ResumeFlags } from './commands.js';
import {
  demoHelp,
  loadHelp,
  mainHelp,
  planHelp,
  pruneHelp,
  replayHelp,
  resumeHelp,
  runHelp,
  runsHelp,
  showHelp,
  sweepHelp,
} from './help.js';
import type { PlanFlags } from './plan.js';
import type { ReplayFlags } from './replay.js';
import type { RunSettings } from './run-job.js';
import type { SweepFlags } from './sweep.js';
import type { Terminal } from './terminal.js';

/** What commander makes of `--no-ledger`: true when it is not given. */
type Ledgered<Flags> = Omit<Flags, 'ledger'> & { ledger: boolean };
type LoadOptions = Ledgered<Omit<LoadFlags, 'header' | 'httpHeader'>> & RunSettings & { header?: boolean | string[] };

/** The flags of `sluice runs`, as typed. */
type LedgerFlags = { json?: boolean; iam?: boolean };

/** The command's grammar. Nothing is loaded for a subcommand until it runs; then `done` gets its exit code. */
export function makeProgram(terminal: Terminal, done: (code: number) => void): Command {
  const program = new Command('sluice')
    .description('Moves many records into a database as fast as it will take them: nothing lost, nothing twice.')
    .option('-V, --version', 'print the version')
    .configureOutput({ outputError: () => {} })
    .exitOverride()
    .showSuggestionAfterError()
    .addHelpText('after', mainHelp);

  const load = program
    .command('load')
    .summary('load files or an API into a table')
    .description('Loads files, standard input or an HTTP API into a PostgreSQL table or an Aerospike set.')
    .argument(
      '<source>',
      'a path, a glob, either of them in S3 as s3://bucket/..., - for standard input, or http(s)://...',
    )
    .argument(
      '<sink>',
      'postgres://user:password@host:port/database, where PGHOST and its like fill in what is left out; or aerospike://host:port,host2:port/namespace/set',
    );
  withTarget(load)
    .option('--create', 'PostgreSQL: create the table from a sample when it does not exist')
    .optionsGroup('Columns:')
    .option(
      '--columns <list>',
      'what goes into which column, such as id,name,lon=loc.coordinates[0]; constants: source:=api, defaults: pop??0, casts: raw=$::text',
    )
    .option('--ignore-extra', 'drop fields the table has no column for, instead of refusing them')
    .optionsGroup('Files:')
    .option('--format <format>', 'csv or ndjson (default: by the name of the file)')
    .option('--delimiter <character>', 'between fields; \\t is a tab (default: a comma, in .tsv files a tab)')
    .option('--quote <character>', 'around fields (default: ")')
    .option('--null <text>', 'an unquoted field that equals this is null (default: the empty field)')
    .option('--no-header', 'the first record is data; --fields names the fields')
    .option('--fields <names>', 'field names in file order, with commas between; then no header is expected')
    .optionsGroup('HTTP (a job file can say more):')
    .option(
      '--items <path>',
      'where the records are in a response, such as data.items (default: $, the response itself)',
    )
    .option('--pagination <style>', 'page, offset, cursor, link, next or none (default: none)')
    .option('--page-param <name>', 'parameter that takes the page number, offset or cursor')
    .option('--page-path <path>', 'cursor, next: where a response holds the next cursor or URL')
    .option('--size-param <name>', 'parameter that takes the page size')
    .option('--page-size <n>', 'records a page to ask for')
    .option('--total-header <name>', 'response header that tells how many records there are, such as X-Total-Count')
    .option('--total-path <path>', 'where a response tells how many records there are, such as meta.total')
    .option('--parallel <n>', 'requests in flight at most, where the style allows it (default: 4)')
    .option("--header <'Name: value'>", 'request header; may be given many times', another);
  withRunOptions(load)
    .addHelpText('after', loadHelp)
    .action(async (source: string, sink: string, options: LoadOptions) => {
      const { loadCommand } = await import('./commands.js');
      const { header, ledger, ...flags } = options;
      // Two flags share a name: `--no-header` makes it false, `--header` a list.
      const said = Array.isArray(header) ? { httpHeader: header } : header === false ? { header } : {};
      done(await loadCommand(source, sink, { ...flags, ...said, ...unledgered(ledger) }, options, terminal));
    });

  const run = program
    .command('run')
    .summary('run a job file')
    .description('Runs the load that a job file (YAML) describes; flags beat what the file says.')
    .argument('<job>', 'the job file, such as job.yaml');
  withRunOptions(run)
    .addHelpText('after', runHelp)
    .action(async (path: string, { ledger, ...options }: Ledgered<RunFlags> & RunSettings) => {
      const { runCommand } = await import('./commands.js');
      done(await runCommand(path, { ...options, ...unledgered(ledger) }, options, terminal));
    });

  const resume = program
    .command('resume')
    .summary('go on with a run that did not end well')
    .description('Goes on with a run where it stopped: nothing that was written is written again.')
    .argument('<run>', "the run's name (run in its report), or its folder")
    .optionsGroup('What the folder does not keep:')
    .option('--sink <url>', "the sink's address with its password; PGPASSWORD or a password file will do as well")
    .option('--source <url>', "an HTTP source's address, when a secret stands in it")
    .option("--header <'Name: value'>", 'request header; may be given many times', another);
  withPace(resume)
    .optionsGroup('Going on:')
    .option('--force', 'although the source is no longer what it was')
    .option('--wait', 'wait while another process runs this job, instead of failing');
  withHealth(withOutput(resume))
    .addHelpText('after', resumeHelp)
    .action(async (name: string, options: ResumeFlags & RunSettings) => {
      const { resumeCommand } = await import('./commands.js');
      done(await resumeCommand(name, options, options, terminal));
    });

  addRuns(program, terminal, done);

  const replay = program
    .command('replay')
    .summary("load a run's mended rejects")
    .description('Loads the rejects of a run again, once they or the table were mended; each is written once.')
    .argument('<run>', "the run's folder, or, with SINK or --job, the name of a run whose rejects the ledger has")
    .argument('[sink]', 'the database, as for load, unless --job is given (default: the job that the folder keeps)')
    .optionsGroup('Rejects:')
    .option('--from <file>', 'a mended copy of the rejects (default: rejects.ndjson in the folder)')
    .optionsGroup('How they are loaded, where the folder does not say:')
    .option('--job <file>', 'the job file; or SINK and these:');
  withTarget(replay)
    .option('--columns <list>', 'what goes into which column')
    .option('--ignore-extra', 'drop fields the table has no column for, instead of refusing them');
  withPace(replay)
    .optionsGroup('Going on:')
    .option('--wait', 'wait while another process runs this job, instead of failing');
  withFolder(replay)
    .addHelpText('after', replayHelp)
    .action(async (name: string, sink: string | undefined, options: ReplayFlags & RunSettings) => {
      const { replayCommand } = await import('./replay.js');
      done(await replayCommand(name, sink, options, options, terminal));
    });

  addMeasures(program, terminal, done);

  program
    .command('demo')
    .summary('load 10,000 real cities from an API on this machine, twice')
    .description(
      'Starts a paginated API with 10,000 real cities and, unless DATABASE_URL or PGHOST names one, a PostgreSQL ' +
        'server; loads the cities into a new scratch schema, checks what arrived, and loads them again.',
    )
    .addHelpText('after', demoHelp)
    .action(async () => {
      const { demoCommand } = await import('./demo/demo.js');
      done(await demoCommand(terminal));
    });
  return program;
}

const iamHelp = 'PostgreSQL: log in by tokens of AWS IAM, not by a password';

const sinkOrEnvironment = 'the address of the database; default: DATABASE_URL, or PGHOST and its like';

function addMeasures(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const sweep = program
    .command('sweep')
    .summary('measure how fast the database is with how many workers')
    .description(
      'Runs the write side of a job with 1, 2, 4 ... workers and adaptively, into scratch copies of its table, and draws the curve. The table itself is not touched.',
    )
    .argument('<job>', 'the job file, such as job.yaml')
    .optionsGroup('Measuring:')
    .option('--counts <list>', 'numbers of workers to try (default: 1,2,4,8,16,20,32,60)')
    .option('--rows <n>', 'records to read into memory at most (default: 500000; never more than 128 MiB)')
    .option('--seconds <n>', 'seconds a load at most (default: 10)')
    .option('--svg <file>', 'where the curve is drawn (default: sweep.svg in the run folder)')
    .option('--run-dir <folder>', 'where the figures and the curve go (default: runs/<run>)');
  withOutput(sweep)
    .addHelpText('after', sweepHelp)
    .action(async (path: string, flags: SweepFlags) => {
      const { sweepCommand } = await import('./sweep.js');
      done(await sweepCommand(path, flags, terminal));
    });

  const plan = program
    .command('plan')
    .summary('measure for some seconds, then say how long a job will take')
    .description(
      'Measures a job by short loads into scratch copies of its table, and says how long it will take: one record at a time, and as sluice run would do it. The table itself is not touched.',
    )
    .argument('<job>', 'the job file, such as job.yaml')
    .optionsGroup('Measuring:')
    .option('--within <time>', 'exit with 1 unless it will be done in this time, such as 90s, 15m or 1h30m')
    .option('--seconds <n>', 'seconds a load at most (default: 3)')
    .option('--run-dir <folder>', 'where the plan goes (default: runs/<run>)');
  withOutput(plan)
    .addHelpText('after', planHelp)
    .action(async (path: string, flags: PlanFlags) => {
      const { planCommand } = await import('./plan.js');
      done(await planCommand(path, flags, terminal));
    });
}

function addRuns(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const runs = program
    .command('runs')
    .summary('list, show or forget the runs a database keeps account of')
    .description('Lists, shows or forgets the runs a database keeps account of.')
    .addHelpText('after', runsHelp);
  runs
    .command('list', { isDefault: true })
    .description('Lists the runs, newest first. The same as sluice runs alone.')
    .argument('[sink]', sinkOrEnvironment)
    .option('--iam', iamHelp)
    .option('--json', 'print them as one line of JSON')
    .addHelpText('after', runsHelp)
    .action(async (sink: string | undefined, { json = false, iam = false }: LedgerFlags) => {
      const { listRuns } = await import('./runs.js');
      done(await listRuns(sink, { json, iam }, terminal));
    });
  runs
    .command('show')
    .description('Shows one run: how far it came, split by split, and what it rejected.')
    .argument('<run>', "the run's name, or its folder, which also knows the database")
    .argument('[sink]', sinkOrEnvironment)
    .option('--iam', iamHelp)
    .option('--json', 'print it as one line of JSON')
    .addHelpText('after', showHelp)
    .action(async (run: string, sink: string | undefined, { json = false, iam = false }: LedgerFlags) => {
      const { showRun } = await import('./runs.js');
      done(await showRun(run, sink, { json, iam }, terminal));
    });
  runs
    .command('prune')
    .description('Forgets runs that ended: they can no longer be resumed, and the account of their rejects is gone.')
    .argument('[sink]', sinkOrEnvironment)
    .option('--keep <n>', 'newest runs of each job to keep', '10')
    .option('--iam', iamHelp)
    .option('--json', 'print how many as one line of JSON')
    .addHelpText('after', pruneHelp)
    .action(async (sink: string | undefined, { keep, json = false, iam = false }: LedgerFlags & { keep: string }) => {
      const { pruneRuns } = await import('./runs.js');
      done(await pruneRuns(sink, keep, { json, iam }, terminal));
    });
}

function withTarget(command: Command): Command {
  return command
    .optionsGroup('Target:')
    .option(
      '--mode <mode>',
      'PostgreSQL: append, upsert or ignore (default: append); Aerospike: update, replace, create-only or update-only (default: update)',
    )
    .option(
      '--key <columns>',
      'PostgreSQL: columns that tell rows apart, with commas between (default: the primary key); Aerospike: the column whose value is the key',
    )
    .option('--iam', iamHelp)
    .option('--table <name>', 'PostgreSQL: table, or schema.table; quote odd names: \'"My Schema"."T"\'')
    .option('--key-type <type>', 'Aerospike: integer, string or bytes (default: as records have it, so text from CSV)')
    .option(
      '--bins <list>',
      'Aerospike: columns that become bins, such as tags:json,age:integer (default: all but the key)',
    )
    .option('--ttl <seconds>', 'Aerospike: until a record expires; or never, keep, default');
}

function withRunOptions(command: Command): Command {
  withPace(command)
    .optionsGroup('Going on after a failure:')
    .option('--resume', "go on with this job's latest run, or start its first")
    .option('--force', 'with --resume: although the source is no longer what it was')
    .option('--wait', 'wait while another process runs this job, instead of failing')
    .option('--no-ledger', 'keep no account of what is loaded: no resume, and no longer exactly once');
  return withFolder(command);
}

function withFolder(command: Command): Command {
  command
    .optionsGroup('Running:')
    .option('--dry-run', 'read a sample, match it with the table, say what would be done; change nothing')
    .option('--run-dir <folder>', 'where job, log, report and rejects go (default: runs/<run>)');
  return withHealth(withOutput(command));
}

function withHealth(command: Command): Command {
  return command.option(
    '--health-port <port>',
    'answer GET /health with how the run goes (default: SLUICE_HEALTH_PORT)',
  );
}

function withPace(command: Command): Command {
  return command
    .optionsGroup('Pace and limits:')
    .option('--workers <n>', 'batches in flight, fixed (default: found while it runs)')
    .option('--max-workers <n>', 'most batches in flight, where their number is found (default: 64)')
    .option('--batch-size <n>', 'rows a batch at most (default: found while it runs, 256 KiB to 8 MiB)')
    .option('--batch-time <time>', 'how long a batch may take, such as 500ms; none is made larger (default: 1s)')
    .option('--limit <n>', 'stop after this many records')
    .option(
      '--max-errors <n|n%>',
      'rejects allowed: a count, or a share of the rows read so far, judged from 1,000 on (default: 100)',
    )
    .option('--verify <level>', 'read back after the load: none, count, sample or full (default: none)');
}

function withOutput(command: Command): Command {
  return command
    .optionsGroup('Running:')
    .option('--json', 'end standard output with the report as one line of JSON')
    .option('--quiet', 'say nothing but errors');
}

function unledgered(ledger: boolean): { ledger?: false } {
  return ledger ? {} : { ledger: false };
}

function another(value: string, before: unknown): string[] {
  return [...(Array.isArray(before) ? before : []), value];
}
