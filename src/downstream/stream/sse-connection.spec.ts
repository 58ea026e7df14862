import { afterAll, describe, expect, it } from '@jest/globals';
import { SsePairs } from '../../../test/support/sse-pair.js';
import { until } from '../../../test/support/until.js';
import { messageEvent } from './sse-event.js';

const pairs = new SsePairs();
afterAll(() => pairs.close());

const event = (json: string) => messageEvent(undefined, [Buffer.from(json)]);

describe('SseConnection', () => {
  it('sends its head at once, before there is an event', async () => {
    const { response, connection } = await pairs.open();
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'x-request-id': 'r-1',
    });
    expect(connection.open).toBe(true);
    connection.end();
  });

  it('writes events in order, whole', async () => {
    const pair = await pairs.open();
    const large = JSON.stringify({ x: 'x'.repeat(100_000) });
    pair.connection.keepAlive();
    expect([pair.connection.write(event('{"n":1}')), pair.connection.write(event(large))]).toEqual([true, true]);
    pair.connection.end();
    expect(await pair.all()).toBe(
      `: keep-alive\n\nevent: message\ndata: {"n":1}\n\nevent: message\ndata: ${large}\n\n`,
    );
  });

  it('after its end nothing is written any more, and it says so', async () => {
    const pair = await pairs.open();
    pair.connection.end(1_500);
    pair.connection.end(9);
    expect([pair.connection.write(event('{}')), pair.connection.open]).toEqual([false, false]);
    expect(await pair.all()).toBe('retry: 1500\n\n');
  });

  it('a client that has gone loses what is written, and that is no failure', async () => {
    const pair = await pairs.open();
    await pair.cut();
    expect([pair.connection.open, pair.connection.write(event('{}'))]).toEqual([false, false]);
    pair.connection.keepAlive();
    pair.connection.end(1);
  });

  it('cuts off a reader that is too slow, so that memory is bounded', async () => {
    const pair = await pairs.open({ maxBufferedBytes: 256 * 1024, paused: true });
    const big = event(JSON.stringify('x'.repeat(128 * 1024)));
    let written = 0;
    while (pair.connection.write(big)) if ((written += 1) > 1_000) break;
    expect(written).toBeLessThanOrEqual(100);
    expect(pair.connection.open).toBe(false);
    pair.response.resume();
    await until(() => pair.ended, { what: 'the client is cut off' });
  });

  it('tells of its close once, however it ends, and at once if it is over', async () => {
    const [ended, cut] = [await pairs.open(), await pairs.open()];
    const closed: string[] = [];
    ended.connection.onClose(() => closed.push('ended'));
    cut.connection.onClose(() => closed.push('cut'));
    ended.connection.end();
    ended.connection.end();
    await ended.all();
    await until(() => closed.includes('ended'), { what: 'the end is told' });
    await cut.cut();
    expect(closed).toEqual(['ended', 'cut']);
    cut.connection.onClose(() => closed.push('late'));
    expect(closed).toEqual(['ended', 'cut', 'late']);
  });
});
