import { describe, expect, it } from '@jest/globals';
import { EventBudget, EventLog, type EventLogLimits } from './event-log.js';
import { type SseEvent } from './sse-event.js';

const LIMITS: EventLogLimits = { maxEvents: 100, maxBytes: 1_000, maxAgeMs: 1_000, maxEventBytes: 500 };

/** A session's log with a stream that notes what it lost. */
function world(limits: Partial<EventLogLimits> = {}, budget = new EventBudget(1_000_000)) {
  const clock = { ms: 0 };
  const log = new EventLog({ ...LIMITS, ...limits }, budget, () => clock.ms);
  const lost: string[] = [];
  const streamOf = (name: string) => ({ dropped: ({ seq }: { seq: number }) => void lost.push(`${name}${seq}`) });
  const streams = { a: streamOf('a'), b: streamOf('b') };
  const add = (stream: 'a' | 'b', seq: number, bytes = 10) => log.add(streams[stream], seq, eventOf(bytes));
  return { log, budget, lost, add, clock };
}

const eventOf = (bytes: number): SseEvent => ({ parts: [Buffer.alloc(bytes)], bytes });

describe('EventLog: its bounds (SPEC D-9)', () => {
  it('count: the oldest go, over all streams of the session, and each stream hears of its own', () => {
    const { log, add, lost } = world({ maxEvents: 3 });
    add('a', 1);
    add('b', 1);
    add('a', 2);
    expect([log.size, lost]).toEqual([3, []]);
    add('b', 2);
    add('b', 3);
    expect([log.size, lost]).toEqual([3, ['a1', 'b1']]);
  });

  it('bytes: exactly as many as fit', () => {
    const { log, add, lost, budget } = world({ maxBytes: 100 });
    add('a', 1, 60);
    add('a', 2, 40);
    expect([log.size, budget.used, lost]).toEqual([2, 100, []]);
    add('a', 3, 41);
    expect([log.size, budget.used, lost]).toEqual([2, 81, ['a1']]);
  });

  it('age: what is as old as the limit goes, by the next event or by trimming', () => {
    const { log, add, lost, clock } = world();
    add('a', 1);
    clock.ms = 500;
    add('a', 2);
    clock.ms = 999;
    log.trim();
    expect(lost).toEqual([]);
    clock.ms = 1_000;
    log.trim();
    expect(lost).toEqual(['a1']);
    clock.ms = 1_500;
    add('a', 3);
    expect([log.size, lost]).toEqual([1, ['a1', 'a2']]);
  });

  it('one event: what is too large is not kept, and drops nothing else', () => {
    const { log, add, lost } = world();
    add('a', 1);
    expect(add('a', 2, 501)).toBeUndefined();
    expect(add('a', 3, 500)).toMatchObject({ seq: 3 });
    expect([log.size, lost]).toEqual([2, []]);
  });

  it('all sessions together: a full budget costs the session that adds its own oldest', () => {
    const budget = new EventBudget(100);
    const [mine, other] = [world({}, budget), world({}, budget)];
    other.add('a', 1, 50);
    mine.add('a', 1, 30);
    mine.add('a', 2, 20);
    expect([mine.lost, other.lost]).toEqual([[], []]);
    mine.add('a', 3, 25);
    expect([mine.lost, other.lost, budget.used]).toEqual([['a1'], [], 95]);
  });

  it.each<[string, Partial<EventLogLimits>, number]>([
    ['no event may be kept', { maxEvents: 0 }, 1_000],
    ['it alone is above the bytes', { maxBytes: 9 }, 1_000],
    ['others have used up the budget', {}, 1_005],
  ])('an event that is dropped at once is said not to be kept: %s', (_why, limits, total) => {
    const budget = new EventBudget(total);
    world({ maxEventBytes: 1_000, maxBytes: 1_000 }, budget).add('a', 1, 996);
    const { log, add } = world(limits, budget);
    expect(add('a', 1)).toBeUndefined();
    expect([log.size, budget.used]).toEqual([0, 996]);
  });

  it('gives everything back to the budget when it is cleared', () => {
    const { log, add, budget } = world();
    add('a', 1, 100);
    add('b', 1, 200);
    log.clear();
    log.clear();
    expect([log.size, budget.used]).toEqual([0, 0]);
    add('a', 2, 7);
    expect([log.size, budget.used]).toEqual([1, 7]);
  });

  it('never keeps more than each bound over 2,000 random events, and its budget adds up', () => {
    const budget = new EventBudget(2_000);
    const worlds = [world({ maxEvents: 20, maxBytes: 900 }, budget), world({ maxEvents: 20, maxBytes: 900 }, budget)];
    let seed = 7;
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let n = 1; n <= 2_000; n++) {
      const { add, log, clock } = worlds[random(2)] as (typeof worlds)[number];
      clock.ms += random(120);
      add('a', n, random(500));
      expect(log.size).toBeLessThanOrEqual(20);
      expect(budget.used).toBeLessThanOrEqual(2_000);
    }
    for (const { log } of worlds) log.clear();
    expect(budget.used).toBe(0);
  });
});
