import { setMaxListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { Cancellation } from '../common/cancellation.js';
import { CallGate, CallGates, type Leave } from './call-gate.js';
import { PoolError } from './pool.errors.js';
import { random } from '../../test/support/random.js';

const forever = new AbortController().signal;
setMaxListeners(0, forever);

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
};

async function refusalOf(entering: Promise<unknown>): Promise<PoolError> {
  const error = await entering.then(
    () => new Error('it got in'),
    (reason: unknown) => reason,
  );
  if (error instanceof PoolError) return error;
  throw error;
}

describe('CallGate (P-7)', () => {
  it('lets in at most so many at once', () => {
    const gate = new CallGate({ maxInFlight: 2, maxQueued: 0 });
    const [first, second] = [gate.tryEnter(), gate.tryEnter()];
    expect(gate.tryEnter()).toBeUndefined();
    first?.();
    expect(gate.inFlight).toBe(1);
    expect(gate.tryEnter()).toBeDefined();
    second?.();
    expect(gate).toMatchObject({ inFlight: 1, queued: 0 });
  });

  it('leaving twice does nothing more', () => {
    const gate = new CallGate({ maxInFlight: 2, maxQueued: 0 });
    const [first] = [gate.tryEnter(), gate.tryEnter()];
    first?.();
    first?.();
    expect(gate.inFlight).toBe(1);
  });

  it('hands a place over in the order of arrival, and nobody overtakes', async () => {
    const gate = new CallGate({ maxInFlight: 1, maxQueued: 3 });
    const order: number[] = [];
    const leave = gate.tryEnter() as Leave;
    const inside = [1, 2, 3].map((who) => gate.enter(forever).then((out) => (order.push(who), out)));
    expect(gate).toMatchObject({ inFlight: 1, queued: 3 });
    leave();
    expect(gate.tryEnter()).toBeUndefined(); // the place belongs to the first in the queue already
    (await inside[0])?.();
    (await inside[1])?.();
    (await inside[2])?.();
    expect(order).toEqual([1, 2, 3]);
    expect(gate).toMatchObject({ inFlight: 0, queued: 0 });
  });

  it('refuses at once when the queue is full, with the numbers, the settings and when to come back', async () => {
    const gate = new CallGate({ maxInFlight: 1, maxQueued: 1 });
    gate.tryEnter();
    void gate.enter(forever);
    const error = await refusalOf(gate.enter(forever, 'weather'));
    expect(error.message).toBe(
      'weather: too many calls at once (1 of 1 in flight, 1 of 1 queued); see ' +
        'MCP_SESSION_POOL_MAX_CALLS_PER_GATEWAY, MCP_SESSION_POOL_MAX_QUEUED_PER_GATEWAY',
    );
    expect(error.data).toEqual({
      code: 'POOL_EXHAUSTED',
      retryable: true,
      retryAfterMs: 1_000,
      gateway: 'weather',
      inFlight: 1,
      queued: 1,
      maxInFlight: 1,
      maxQueued: 1,
    });
  });

  it('gives up when the signal aborts, with the time waited and the reason; its place in the queue is free', async () => {
    const gate = new CallGate({ maxInFlight: 1, maxQueued: 2 });
    const leave = gate.tryEnter() as Leave;
    const limit = new AbortController();
    const first = gate.enter(limit.signal);
    const second = gate.enter(forever);
    const reason = new Error('waited 20 ms');
    limit.abort(reason);
    const error = await refusalOf(first);
    expect(error.message).toMatch(
      /^no call ended in the \d+ ms that this one waited \(1 of 1 in flight, 2 of 2 queued\)/,
    );
    expect(error.data).toMatchObject({ code: 'POOL_EXHAUSTED', waitedMs: expect.any(Number), inFlight: 1, queued: 2 });
    expect(error.cause).toBe(reason);
    expect(gate.queued).toBe(1);
    leave();
    (await second)();
    expect(gate.inFlight).toBe(0);
  });

  it('an abort after the place was handed over takes nothing back', async () => {
    const gate = new CallGate({ maxInFlight: 1, maxQueued: 2 });
    const leave = gate.tryEnter() as Leave;
    const limit = new AbortController();
    const entering = gate.enter(limit.signal);
    const other = gate.enter(forever);
    leave();
    limit.abort();
    expect(gate).toMatchObject({ inFlight: 1, queued: 1 }); // nor does it push the other one out of the queue
    (await entering)();
    (await other)();
    expect(gate).toMatchObject({ inFlight: 0, queued: 0 });
  });

  it('a place that the very abort set free is taken, and nobody else leaves the queue for it', async () => {
    const gate = new CallGate({ maxInFlight: 1, maxQueued: 2 });
    const limit = new Cancellation();
    limit.addEventListener('abort', gate.tryEnter() as Leave);
    const entering = gate.enter(limit);
    const other = gate.enter(forever);
    limit.abort(new Error('late'));
    expect(gate).toMatchObject({ inFlight: 1, queued: 1 });
    (await entering)();
    (await other)();
    expect(gate).toMatchObject({ inFlight: 0, queued: 0 });
  });

  it('who comes with an aborted signal does not get in, even where there is room', async () => {
    const gate = new CallGate({ maxInFlight: 1, maxQueued: 1 });
    expect((await refusalOf(gate.enter(AbortSignal.abort()))).data).toMatchObject({ waitedMs: 0, inFlight: 0 });
    expect(gate.inFlight).toBe(0);
  });

  it.each([1, 2, 3, 4])('keeps its promises over 5,000 random operations (seed %i)', async (seed) => {
    const next = random(seed);
    const [maxInFlight, maxQueued] = [3, 5];
    const gate = new CallGate({ maxInFlight, maxQueued });
    const inside = new Set<Leave>();
    const queue: number[] = []; // the model: who waits, in order
    const limits = new Map<number, AbortController>();
    const gave = { up: 0, refused: 0, queued: 0, served: 0 };

    const come = (who: number): void => {
      const limit = new AbortController();
      const mustWait = inside.size >= maxInFlight;
      const mustFail = mustWait && queue.length >= maxQueued;
      const entering = gate.enter(limit.signal);
      if (mustWait && !mustFail) {
        queue.push(who);
        limits.set(who, limit);
        gave.queued += 1;
      }
      entering.then(
        (leave) => {
          if (mustWait) {
            expect(queue.shift()).toBe(who); // first come, first served
            limits.delete(who);
            gave.served += 1;
          }
          inside.add(leave);
        },
        (error: unknown) => {
          expect(error).toBeInstanceOf(PoolError);
          expect(mustFail || limit.signal.aborted).toBe(true);
          if (mustFail) gave.refused += 1;
          else gave.up += 1;
        },
      );
    };
    const pickFrom = <T>(all: Iterable<T>): T | undefined => {
      const list = [...all];
      return list[Math.floor(next() * list.length)];
    };

    for (let step = 0; step < 5_000; step++) {
      const dice = next();
      if (dice < 0.5) come(step);
      else if (dice < 0.9) {
        const leave = pickFrom(inside);
        if (leave) {
          inside.delete(leave);
          leave();
          if (next() < 0.2) leave();
        }
      } else {
        const who = pickFrom(limits.keys());
        if (who !== undefined) {
          limits.get(who)?.abort();
          limits.delete(who);
          queue.splice(queue.indexOf(who), 1);
        }
      }
      await turns();
      expect([gate.inFlight, gate.queued]).toEqual([inside.size, queue.length]);
      expect(gate.inFlight).toBeLessThanOrEqual(maxInFlight);
      if (gate.queued > 0) expect(gate.inFlight).toBe(maxInFlight);
    }
    while (inside.size > 0) {
      for (const leave of inside) {
        inside.delete(leave);
        leave();
      }
      await turns();
    }
    expect(gate).toMatchObject({ inFlight: 0, queued: 0 });
    expect(gave.served + gave.up).toBe(gave.queued); // nobody is forgotten
    for (const times of Object.values(gave)) expect(times).toBeGreaterThan(50); // every case came up
  });
});

describe('CallGates (P-7)', () => {
  const options = { maxInFlight: 1, maxQueued: 1 };

  it('a gateway that is full leaves the others alone', async () => {
    const gates = new CallGates(options);
    gates.tryEnter('hung');
    void gates.enter('hung', forever);
    expect((await refusalOf(gates.enter('hung', forever, 'Hung'))).options.gateway).toBe('Hung');
    expect(gates.tryEnter('hung')).toBeUndefined();
    expect(gates.tryEnter('well')).toBeDefined();
    expect(gates.numbers).toEqual({ gateways: 2, inFlight: 2, queued: 1 });
  });

  it('drops a gate when the last call has left, not while somebody waits', async () => {
    const gates = new CallGates(options);
    const leave = gates.tryEnter('a') as Leave;
    const second = gates.enter('a', forever);
    leave();
    expect(gates.numbers).toEqual({ gateways: 1, inFlight: 1, queued: 0 });
    (await second)();
    leave(); // of a gate that is gone
    expect(gates.numbers).toEqual({ gateways: 0, inFlight: 0, queued: 0 });
    (await gates.enter('a', forever))();
    expect(gates.numbers.gateways).toBe(0);
  });

  it('keeps a gate while any call is inside', () => {
    const gates = new CallGates({ maxInFlight: 2, maxQueued: 0 });
    const [first, second] = [gates.tryEnter('a'), gates.tryEnter('a')];
    first?.();
    expect(gates.numbers).toEqual({ gateways: 1, inFlight: 1, queued: 0 });
    second?.();
    expect(gates.numbers).toEqual({ gateways: 0, inFlight: 0, queued: 0 });
  });

  it('keeps nothing of those who never got in', async () => {
    const gates = new CallGates(options);
    await refusalOf(gates.enter('a', AbortSignal.abort()));
    expect(gates.numbers.gateways).toBe(0);
    const leave = gates.tryEnter('a') as Leave;
    await refusalOf(gates.enter('a', AbortSignal.abort()));
    leave();
    expect(gates.numbers.gateways).toBe(0);
  });
});
