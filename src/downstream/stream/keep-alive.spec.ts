import { afterAll, afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type SsePair, SsePairs } from '../../../test/support/sse-pair.js';
import { KeepAlive } from './keep-alive.js';

const pairs = new SsePairs();
afterAll(() => pairs.close());

describe('KeepAlive (SPEC D-3)', () => {
  let keepAlive: KeepAlive;
  beforeEach(() => {
    keepAlive = new KeepAlive(15_000);
  });
  afterEach(() => {
    keepAlive.stop();
    jest.useRealTimers();
  });

  const open = async (count: number): Promise<SsePair[]> => {
    const opened = await Promise.all(Array.from({ length: count }, () => pairs.open()));
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance'] });
    for (const { connection } of opened) keepAlive.add(connection);
    return opened;
  };
  /** What a client read until its stream's end. */
  const read = async ({ connection, all }: SsePair): Promise<string> => {
    jest.useRealTimers();
    connection.end();
    return all();
  };

  it('one timer writes a comment on every open stream, period after period', async () => {
    const [one, two] = (await open(2)) as [SsePair, SsePair];
    expect(jest.getTimerCount()).toBe(1);
    jest.advanceTimersByTime(14_999);
    one.connection.keepAlive();
    jest.advanceTimersByTime(1 + 15_000);
    expect(jest.getTimerCount()).toBe(1);
    expect(await read(one)).toBe(': keep-alive\n\n'.repeat(3));
    expect(await read(two)).toBe(': keep-alive\n\n'.repeat(2));
  });

  it('forgets streams that close; without any there is no timer', async () => {
    const [one, two] = (await open(2)) as [SsePair, SsePair];
    await one.cut();
    expect(keepAlive.size).toBe(1);
    jest.advanceTimersByTime(15_000);
    expect(jest.getTimerCount()).toBe(1);
    await two.cut();
    expect(keepAlive.size).toBe(0);
    jest.advanceTimersByTime(15_000);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('begins again with the next stream', async () => {
    const [one] = (await open(1)) as [SsePair];
    await one.cut();
    jest.advanceTimersByTime(15_000);
    jest.useRealTimers();
    const [two] = (await open(1)) as [SsePair];
    jest.advanceTimersByTime(15_000);
    expect(await read(two)).toBe(': keep-alive\n\n');
  });

  it('does not keep a stream that has closed before it came', async () => {
    const pair = await pairs.open();
    await pair.cut();
    keepAlive.add(pair.connection);
    expect(keepAlive.size).toBe(0);
  });

  it('once stopped it writes nothing and takes nothing', async () => {
    const [one] = (await open(1)) as [SsePair];
    keepAlive.stop();
    keepAlive.add(one.connection);
    expect([keepAlive.size, jest.getTimerCount()]).toEqual([0, 0]);
    jest.advanceTimersByTime(60_000);
    expect(await read(one)).toBe('');
  });
});
