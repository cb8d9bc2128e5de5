import type { FileHandle } from 'node:fs/promises';

const blockBytes = 256 * 1024;

/** A line of a file, without its newline. */
export interface Line {
  readonly offset: number;
  readonly bytes: Buffer;
  /** It ended with a newline, and was no longer than a record may be. */
  readonly whole: boolean;
}

/** The lines of a file from its start. No more than `longest` bytes of a line are kept. */
export async function* linesOf(file: FileHandle, longest: number): AsyncGenerator<Line, void, void> {
  let parts: Buffer[] = [];
  let length = 0;
  let offset = 0;
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(blockBytes), 0, blockBytes, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    const block = buffer.subarray(0, bytesRead);
    let at = 0;
    for (let end = block.indexOf(0x0a); end !== -1; end = block.indexOf(0x0a, at)) {
      length += end - at;
      const whole = length <= longest;
      if (whole) parts.push(block.subarray(at, end));
      yield { offset, bytes: whole ? Buffer.concat(parts) : Buffer.alloc(0), whole };
      at = end + 1;
      offset += length + 1;
      parts = [];
      length = 0;
    }
    length += bytesRead - at;
    if (length <= longest) parts.push(block.subarray(at));
    else parts = [];
  }
  if (length > 0) yield { offset, bytes: Buffer.alloc(0), whole: false };
}
