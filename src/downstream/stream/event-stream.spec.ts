import { afterAll, describe, expect, it } from '@jest/globals';
import { type SsePair, SsePairs } from '../../../test/support/sse-pair.js';
import { parseEvents } from '../../../test/support/sse-text.js';
import { EventBudget, EventLog, type EventLogLimits } from './event-log.js';
import { EventStream, parseEventId } from './event-stream.js';

const LIMITS: EventLogLimits = { maxEvents: 100, maxBytes: 100_000, maxAgeMs: 1_000, maxEventBytes: 1_000 };

const pairs = new SsePairs();
afterAll(() => pairs.close());

function world(limits: Partial<EventLogLimits> = {}) {
  const clock = { ms: 0 };
  const emptied: string[] = [];
  const log = new EventLog({ ...LIMITS, ...limits }, new EventBudget(1_000_000), () => clock.ms);
  const stream = new EventStream('s', log, () => emptied.push('s'));
  const send = (...ns: number[]) => ns.forEach((n) => stream.send([Buffer.from(`{"n":${n}}`)]));
  return { clock, log, stream, send, emptied };
}

/** The messages that a client has read, and the ids that they came with. */
const messages = (text: string): unknown[][] =>
  parseEvents(text).map(({ data, id }) => [id, data === '' ? data : (JSON.parse(data) as { n: number }).n]);
const ids = (...ns: number[]) => ns.map((n) => [`s.${n}`, n]);

async function end({ connection, all }: SsePair): Promise<unknown[]> {
  connection.end();
  return messages(await all());
}

describe('EventStream: what a client gets (SPEC D-9)', () => {
  it('while it is connected: everything, in order, with the ids to resume from', async () => {
    const [{ stream, send }, pair] = [world(), await pairs.open()];
    stream.open(pair.connection, true);
    send(1, 2, 3);
    stream.end();
    expect(messages(await pair.all())).toEqual([['s.0', ''], ...ids(1, 2, 3)]);
    expect([stream.ended, stream.attached, stream.position]).toEqual([true, false, 's.3']);
  });

  it('no priming event for revisions that do not know it', async () => {
    const [{ stream, send }, pair] = [world(), await pairs.open()];
    stream.open(pair.connection, false);
    send(1);
    stream.end();
    expect(messages(await pair.all())).toEqual(ids(1));
  });

  it.each([0, 1, 2, 4, 5])(
    'cut off after event %d: the rest exactly once, in order, then what follows',
    async (after) => {
      const [{ stream, send }, first, second] = [world(), await pairs.open(), await pairs.open()];
      stream.open(first.connection, true);
      send(1, 2);
      await first.cut();
      send(3, 4, 5);
      stream.resume(() => second.connection, after);
      send(6);
      stream.end();
      expect(messages(await second.all())).toEqual(ids(...[1, 2, 3, 4, 5, 6].filter((n) => n > after)));
    },
  );

  it('without an id: only what was handed to nobody', async () => {
    const [{ stream, send }, first, second] = [world(), await pairs.open(), await pairs.open()];
    send(1);
    stream.resume(() => first.connection);
    send(2);
    await first.sees('s.2');
    await first.cut();
    send(3, 4);
    stream.resume(() => second.connection);
    send(5);
    expect(messages(first.text)).toEqual(ids(1, 2));
    expect(await end(second)).toEqual(ids(3, 4, 5));
  });

  it('an ended stream can be read to its end, as often as one likes', async () => {
    const { stream, send } = world();
    send(1, 2, 3);
    stream.end();
    for (const after of [0, 2]) {
      const pair = await pairs.open();
      stream.resume(() => pair.connection, after);
      expect(messages(await pair.all())).toEqual(ids(...[1, 2, 3].filter((n) => n > after)));
    }
  });

  it('after its end it says nothing', async () => {
    const [{ stream, send, log }, pair] = [world(), await pairs.open()];
    stream.open(pair.connection, false);
    stream.end();
    stream.end();
    send(1);
    expect([messages(await pair.all()), log.size]).toEqual([[], 0]);
  });

  it('is interrupted with a hint, and goes on', async () => {
    const [{ stream, send }, first, second] = [world(), await pairs.open(), await pairs.open()];
    stream.open(first.connection, false);
    send(1);
    stream.interrupt(1_000);
    expect(await first.all()).toMatch(/retry: 1000\n\n$/);
    send(2);
    stream.resume(() => second.connection, 1);
    stream.end();
    expect(messages(await second.all())).toEqual(ids(2));
  });
});

describe('a new connection replaces the one before (A-3)', () => {
  it('ends it, and everything goes to the new one', async () => {
    const [{ stream, send }, first, second] = [world(), await pairs.open(), await pairs.open()];
    stream.resume(() => first.connection);
    send(1);
    stream.resume(() => second.connection);
    send(2);
    expect(messages(await first.all())).toEqual(ids(1));
    expect(stream.attached).toBe(true);
    expect(await end(second)).toEqual(ids(2));
  });

  it('that the old one closes later does not detach the new one', async () => {
    const [{ stream, send }, first, second] = [world(), await pairs.open(), await pairs.open()];
    stream.resume(() => first.connection);
    stream.resume(() => second.connection);
    await first.cut();
    expect(stream.attached).toBe(true);
    send(1);
    expect(await end(second)).toEqual(ids(1));
  });

  it('a connection that was cut counts as none, also before its close is told', async () => {
    const [{ stream }, pair] = [world(), await pairs.open()];
    stream.open(pair.connection, false);
    expect(stream.attached).toBe(true);
    await pair.cut();
    expect(stream.attached).toBe(false);
  });
});

describe('events that are gone', () => {
  it('are refused, and no connection is opened for it; what is there is replayed', async () => {
    const { stream, send } = world({ maxEvents: 2 });
    send(1, 2, 3, 4);
    expect([1, 2, 3, 4, 5].map((after) => stream.canReplay(after))).toEqual([false, true, true, true, false]);
    const never = () => {
      throw new Error('no connection is needed');
    };
    expect(() => stream.resume(never, 1)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
    expect(() => stream.resume(never, 5)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
    const pair = await pairs.open();
    stream.resume(() => pair.connection, 2);
    expect(await end(pair)).toEqual(ids(3, 4));
  });

  it('one that is too large ends what could be resumed before it, not what follows', async () => {
    const [{ stream, send }, first, second] = [world(), await pairs.open(), await pairs.open()];
    stream.open(first.connection, false);
    send(1);
    stream.send([Buffer.from(JSON.stringify({ n: 2, x: 'x'.repeat(1_000) }))]);
    send(3);
    await first.sees('s.3');
    expect(messages(first.text)).toEqual(ids(1, 2, 3));
    expect([0, 1, 2, 3].map((after) => stream.canReplay(after))).toEqual([false, false, true, true]);
    stream.resume(() => second.connection, 2);
    expect(await end(second)).toEqual(ids(3));
  });

  it('age', () => {
    const { stream, send, log, clock } = world();
    send(1);
    clock.ms = 1_000;
    log.trim();
    expect([stream.canReplay(0), stream.canReplay(1)]).toEqual([false, true]);
  });

  it('a stream that has ended is forgotten with its last event, not before, and once', () => {
    const { stream, send, log, clock, emptied } = world();
    send(1, 2);
    clock.ms = 500;
    send(3);
    stream.end();
    clock.ms = 1_000;
    log.trim();
    expect([emptied, stream.canReplay(2)]).toEqual([[], true]);
    clock.ms = 1_500;
    log.trim();
    expect(emptied).toEqual(['s']);
  });

  it('a stream that lives is not forgotten when it has none, but at its end', () => {
    const { stream, send, log, clock, emptied } = world();
    send(1);
    clock.ms = 1_000;
    log.trim();
    expect(emptied).toEqual([]);
    stream.end();
    expect(emptied).toEqual(['s']);
  });

  // EVENT_LOG_MAX_EVENTS=0, or a budget that other sessions have used up: what was dropped while it was added used to stay
  // in the stream for ever, uncounted, and the stream was never forgotten.
  it('what is never kept is not kept: the stream is forgotten at its end', async () => {
    const [{ stream, send, emptied }, first, second] = [
      world({ maxEvents: 0 }),
      await pairs.open(),
      await pairs.open(),
    ];
    stream.open(first.connection, false);
    send(1, 2);
    expect([1, 2].map((after) => stream.canReplay(after))).toEqual([false, true]);
    stream.resume(() => second.connection, 2);
    send(3);
    stream.end();
    expect(emptied).toEqual(['s']);
    expect([messages(await first.all()), messages(await second.all())]).toEqual([ids(1, 2), ids(3)]);
  });
});

describe('event ids', () => {
  it('say which stream and where', () => {
    expect(parseEventId('0.0')).toEqual({ stream: '0', seq: 0 });
    expect(parseEventId('aZ_-9.123')).toEqual({ stream: 'aZ_-9', seq: 123 });
  });

  it.each(['', '1', '.1', 's.', 's.-1', 's.1.2', 's.1 ', 's.0x1', 'é.1', `${'s'.repeat(129)}.1`, 's.1234567890123456'])(
    '%j is none of ours',
    (text) => {
      expect(() => parseEventId(text)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
    },
  );
});
