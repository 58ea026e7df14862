import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { deferred } from '../../test/support/deferred.js';
import { DeferredGateways } from './deferred-gateways.js';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const errors: unknown[] = [];
const onError = (_id: string, error: unknown): void => void errors.push(error);

/** Lets the promises of a try settle; fake time stands still. */
const settle = (): Promise<void> => jest.advanceTimersByTimeAsync(0);

describe('DeferredGateways (SPEC G-2)', () => {
  it('tries at once, then after 1, 2, 4 … 60 s, until it succeeds', async () => {
    const tries: number[] = [];
    const start = Date.now();
    const gateways = new DeferredGateways({
      attempt: async () => tries.push((Date.now() - start) / 1_000) >= 10,
      onError,
      random: () => 1,
    });
    gateways.add('a');
    await jest.advanceTimersByTimeAsync(600_000);
    expect(tries).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    expect(gateways.has('a')).toBe(false);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('spreads the pauses over half of their length', async () => {
    for (const [random, pause] of [
      [0, 500],
      [0.5, 750],
    ] as const) {
      let tries = 0;
      const gateways = new DeferredGateways({ attempt: async () => (tries += 1) > 1, onError, random: () => random });
      gateways.add('a');
      await jest.advanceTimersByTimeAsync(pause - 1);
      expect(tries).toBe(1);
      await jest.advanceTimersByTimeAsync(1);
      expect(tries).toBe(2);
    }
  });

  it('never runs two tries of one gateway, however often it is added', async () => {
    const gate = deferred<boolean>();
    let running = 0;
    const gateways = new DeferredGateways({ attempt: () => ((running += 1), gate.promise), onError });
    gateways.add('a');
    gateways.add('a');
    await jest.advanceTimersByTimeAsync(120_000);
    expect(running).toBe(1);
    gate.resolve(true);
    await settle();
    expect(gateways.has('a')).toBe(false);
  });

  it('runs a few tries at once; the others wait their turn, in order, and a cancelled one loses it', async () => {
    const gates = new Map<string, (done: boolean) => void>();
    const started: string[] = [];
    const gateways = new DeferredGateways({
      maxParallel: 2,
      onError,
      attempt: (id) => {
        started.push(id);
        return new Promise((resolve) => gates.set(id, resolve));
      },
    });
    for (const id of ['a', 'b', 'c', 'd', 'e']) gateways.add(id);
    gateways.cancel('c');
    await settle();
    expect(started).toEqual(['a', 'b']);
    gates.get('b')?.(true);
    await settle();
    expect(started).toEqual(['a', 'b', 'd']);
    gates.get('a')?.(false); // a pause takes no place
    await settle();
    expect(started).toEqual(['a', 'b', 'd', 'e']);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(started).toHaveLength(4); // due again, and no place
    gates.get('d')?.(true);
    await settle();
    expect(started).toEqual(['a', 'b', 'd', 'e', 'a']);
    const stopping = gateways.stop();
    for (const open of gates.values()) open(false);
    await stopping;
    expect(jest.getTimerCount()).toBe(0);
  });

  it('stop waits for the try of a cancelled gateway too', async () => {
    const gate = deferred<boolean>();
    const gateways = new DeferredGateways({ attempt: () => gate.promise, onError });
    gateways.add('a');
    gateways.cancel('a');
    let stopped = false;
    const stopping = gateways.stop().then(() => (stopped = true));
    await settle();
    expect(stopped).toBe(false);
    gate.resolve(false);
    await stopping;
  });

  it('reports a try that threw and goes on', async () => {
    let tries = 0;
    const gateways = new DeferredGateways({
      attempt: async () => {
        if ((tries += 1) === 1) throw new Error('database away');
        return true;
      },
      onError,
    });
    gateways.add('a');
    await jest.advanceTimersByTimeAsync(1_000);
    expect([tries, errors.splice(0)]).toEqual([2, [new Error('database away')]]);
  });

  it('cancel ends the pause, and aborts a running try', async () => {
    const signals: AbortSignal[] = [];
    const gateways = new DeferredGateways({
      attempt: async (id, signal) => {
        signals.push(signal);
        if (id === 'hangs') await new Promise((resolve) => signal.addEventListener('abort', resolve));
        return false;
      },
      onError,
    });
    gateways.add('hangs');
    gateways.add('pauses');
    await settle();
    gateways.cancel('hangs');
    gateways.cancel('pauses');
    await jest.advanceTimersByTimeAsync(120_000);
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('a gateway that was cancelled can be added again while its old try still ends', async () => {
    const gate = deferred();
    const gateways = new DeferredGateways({ attempt: async () => (await gate.promise, false), onError });
    gateways.add('a');
    gateways.cancel('a');
    gateways.add('a');
    gate.resolve();
    await settle();
    expect(gateways.has('a')).toBe(true);
    await gateways.stop();
  });

  it('stop aborts everything, waits for the running tries, and takes nothing more', async () => {
    const gate = deferred();
    let tries = 0;
    const gateways = new DeferredGateways({ attempt: async () => ((tries += 1), await gate.promise, false), onError });
    gateways.add('a');
    let stopped = false;
    const stopping = gateways.stop().then(() => (stopped = true));
    await settle();
    expect(stopped).toBe(false);
    gate.resolve();
    await stopping;
    gateways.add('b');
    await jest.advanceTimersByTimeAsync(120_000);
    expect([tries, jest.getTimerCount()]).toEqual([1, 0]);
    expect(gateways.stop()).toBe(gateways.stop());
  });
});
