import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ByteChannel } from './channel.js';

const never = new AbortController().signal;
const item = (bytes: number, name = 'x') => ({ bytes, name });

describe('ByteChannel', () => {
  test('hands items on in order and ends after the last', async () => {
    const channel = new ByteChannel<{ bytes: number; name: string }>(100);
    await channel.put(item(10, 'a'), never);
    await channel.put(item(10, 'b'), never);
    channel.close();
    expect(await channel.take(never)).toEqual(item(10, 'a'));
    expect(await channel.take(never)).toEqual(item(10, 'b'));
    expect(await channel.take(never)).toBeUndefined();
  });

  test('makes the writer wait while it is full, and never holds more than its bytes', async () => {
    const channel = new ByteChannel(100);
    let most = 0;
    const writer = (async () => {
      for (let i = 0; i < 50; i++) {
        await channel.put(item(40), never);
        most = Math.max(most, channel.bytes);
      }
      channel.close();
    })();
    await sleep(5);
    expect(channel.bytes).toBe(80);
    let taken = 0;
    while ((await channel.take(never)) !== undefined) taken++;
    await writer;
    expect(taken).toBe(50);
    expect(most).toBeLessThanOrEqual(100);
  });

  test('lets an item through that is larger than all its room, alone', async () => {
    const channel = new ByteChannel(100);
    await channel.put(item(1000), never);
    const second = channel.put(item(1), never);
    await sleep(5);
    expect(channel.bytes).toBe(1000);
    await channel.take(never);
    await second;
    expect(channel.bytes).toBe(1);
  });

  test('gives what was put before a failure, then the failure', async () => {
    const channel = new ByteChannel(100);
    await channel.put(item(1), never);
    channel.fail(new Error('source died'));
    expect(await channel.take(never)).toEqual(item(1));
    await expect(channel.take(never)).rejects.toThrow('source died');
  });

  test('says late when nothing came within the patience', async () => {
    const channel = new ByteChannel(100);
    expect(await channel.take(never, 10)).toBe('late');
    const take = channel.take(never, 5_000);
    await channel.put(item(1), never);
    expect(await take).toEqual(item(1));
  });

  test('an aborted signal ends a waiting put and a waiting take', async () => {
    const channel = new ByteChannel(10);
    const stop = new AbortController();
    const take = channel.take(stop.signal);
    stop.abort(new Error('stopped'));
    await expect(take).rejects.toThrow('stopped');
    const full = new ByteChannel(10);
    await full.put(item(10), never);
    const again = new AbortController();
    const put = full.put(item(10), again.signal);
    again.abort(new Error('stopped'));
    await expect(put).rejects.toThrow('stopped');
  });
});
