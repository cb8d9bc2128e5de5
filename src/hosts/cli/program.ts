import { Command } from 'commander';
import type { LoadFlags, RunFlags } from '../../job/flags.js';
import { demoHelp, loadHelp, mainHelp, runHelp } from './help.js';
import type { RunSettings } from './run-job.js';
import type { Terminal } from './terminal.js';

type LoadOptions = Omit<LoadFlags, 'header' | 'httpHeader'> & RunSettings & { header?: boolean | string[] };

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
    .description('Loads files, standard input or an HTTP API into a PostgreSQL table.')
    .argument('<source>', 'a path, a glob, - for standard input, or http(s)://...')
    .argument(
      '<sink>',
      'postgres://user:password@host:port/database; what it leaves out comes from PGHOST and its like',
    )
    .optionsGroup('Table:')
    .option('--table <name>', 'table, or schema.table; quote odd names: \'"My Schema"."T"\'')
    .option('--mode <mode>', 'append, upsert or ignore (default: append)')
    .option('--key <columns>', 'columns that tell rows apart, with commas between (default: the primary key)')
    .option('--create', 'create the table from a sample when it does not exist')
    .optionsGroup('Columns:')
    .option('--columns <list>', 'what goes into which column, such as id,name,lon=loc.coordinates[0]')
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
    .option('--parallel <n>', 'requests in flight at most, where the style allows it (default: 4)')
    .option("--header <'Name: value'>", 'request header; may be given many times', another);
  withRunOptions(load)
    .addHelpText('after', loadHelp)
    .action(async (source: string, sink: string, options: LoadOptions) => {
      const { loadCommand } = await import('./commands.js');
      const { header, ...flags } = options;
      // Two flags share a name: `--no-header` makes it false, `--header` a list.
      const said = Array.isArray(header) ? { httpHeader: header } : header === false ? { header } : {};
      done(await loadCommand(source, sink, { ...flags, ...said }, options, terminal));
    });

  const run = program
    .command('run')
    .summary('run a job file')
    .description('Runs the load that a job file (YAML) describes; flags beat what the file says.')
    .argument('<job>', 'the job file, such as job.yaml');
  withRunOptions(run)
    .addHelpText('after', runHelp)
    .action(async (path: string, options: RunFlags & RunSettings) => {
      const { runCommand } = await import('./commands.js');
      done(await runCommand(path, options, options, terminal));
    });

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

function withRunOptions(command: Command): Command {
  return command
    .optionsGroup('Pace and limits:')
    .option('--workers <n>', 'batches in flight at most (default: cores x 4, capped by what the server has free)')
    .option('--batch-size <n>', 'rows a batch at most (default: 10000)')
    .option('--limit <n>', 'stop after this many records')
    .option('--max-errors <n|n%>', 'rejects allowed: a count, or a share of the rows read so far (default: 100)')
    .option('--verify <level>', 'read back after the load: none, count, sample or full (default: none)')
    .optionsGroup('Running:')
    .option('--dry-run', 'read a sample, match it with the table, say what would be done; change nothing')
    .option('--run-dir <folder>', 'where log, report and rejects go (default: runs/<time>-<id>)')
    .option('--json', 'end standard output with the report as one line of JSON')
    .option('--quiet', 'say nothing but errors');
}

function another(value: string, before: unknown): string[] {
  return [...(Array.isArray(before) ? before : []), value];
}
