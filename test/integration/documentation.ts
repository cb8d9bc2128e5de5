/** A fenced block of a page, and what stands around it. */
export interface Block {
  readonly language: string;
  readonly text: string;
  /** Line of its opening fence. */
  readonly line: number;
  /** Why it can't be run, from a comment `<!-- not run: why -->` before it. */
  readonly notRun?: string;
}

/** The fenced blocks of a page of Markdown, in order. */
export function blocksOf(markdown: string): Block[] {
  const fence = /(?:^<!-- not run: (.+) -->\n\n)?^```(\w*)\n([\s\S]*?)^```$/gm;
  return [...markdown.matchAll(fence)].map(({ 0: whole, 1: notRun, 2: language = '', 3: text = '', index }) => ({
    language,
    text,
    line: markdown.slice(0, index + whole.indexOf('```')).split('\n').length,
    ...(notRun !== undefined && { notRun }),
  }));
}

/** A command of a `console` block and the output that the page shows for it. */
export interface Shown {
  readonly command: string;
  readonly output: string;
}

export function commandsOf(text: string): Shown[] {
  const shown: { command: string; output: string }[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    const last = shown.at(-1);
    if (line.startsWith('$ ')) shown.push({ command: line.slice(2), output: '' });
    else if (last !== undefined) last.output += `${line}\n`;
    else throw new Error(`output without a command: ${line}`);
  }
  return shown;
}

/** Output without what differs from run to run and from machine to machine: times, rates, ids, addresses. */
export function comparable(output: string): string {
  return (
    output
      // On a machine that is busy a load lasts long enough to say how far it is.
      .replaceAll(/^[█░]* *\d+(%|[\d,]* rows?) .* in flight .*\n/gm, '')
      .replaceAll(/postgres:\/\/[^\s"\\]+/g, 'postgres://ADDRESS')
      .replaceAll(/aerospike:\/\/[^\s"\\]+/g, 'aerospike://ADDRESS')
      .replaceAll(/(update|replace) test\.\w+ by/g, '$1 test.SET by')
      .replaceAll(/; \d+ nodes?$/gm, '; N nodes')
      .replaceAll(/http:\/\/127\.0\.0\.1:\d+/g, 'http://API')
      .replaceAll(/[\d.]+ s, [\d,]+ rows\/s/g, 'SECONDS s, RATE rows/s')
      .replaceAll(/at most \d+ at once/g, 'at most N at once')
      .replaceAll(/workers {2}\d+ to begin with, \d+ at most/g, 'workers  N to begin with, N at most')
      .replaceAll(/"gate":\{"workers":\{[^}]*\},"batchBytes":\d+/g, '"gate":N')
      .replaceAll(/\d+ batch(es)?,/g, 'N batches,')
      .replaceAll(/"(seconds|workers|batches)":[\d.]+/g, '"$1":N')
      .replaceAll(/"(run|job|startedAt|endedAt)":"[^"]+"/g, '"$1":"ID"')
      .replaceAll(/\b\d{8}T\d{6}-[0-9a-f]{6}\b/g, 'RUN')
      .replaceAll(/database "[^"]+"/g, 'database "NAME"')
      .trimEnd()
  );
}
