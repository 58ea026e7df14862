import { type CancelSignal, reasonOf } from './cancellation.js';
import { describe, expect, it } from '@jest/globals';
import { getEventListeners } from 'node:events';
import { deferred } from '../../test/support/deferred.js';
import { settledWithin, withDeadline } from './deadline.js';

const HOUR = 3_600_000;
const late = (): Error => new Error('too late');

/** Work that does what it should: it ends when its signal aborts, with the signal's reason. */
const untilAborted = (signal: CancelSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    const abort = (): void => reject(reasonOf(signal));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });

/** Timers that keep the process alive now. */
const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

describe('withDeadline (STYLE 10)', () => {
  it('gives the value of the work and leaves neither timer nor listener behind', async () => {
    const outer = new AbortController();
    const before = timers();
    let inside: CancelSignal | undefined;
    const value = await withDeadline(HOUR, outer.signal, late, async (signal) => {
      inside = signal;
      expect(getEventListeners(outer.signal, 'abort')).toHaveLength(1);
      return 'done';
    });
    expect(value).toBe('done');
    expect(getEventListeners(outer.signal, 'abort')).toEqual([]);
    expect(timers()).toBe(before);
    outer.abort();
    expect(inside?.aborted).toBe(false); // what is over is not aborted any more
  });

  it('a long-lived signal collects nothing over 1,000 uses', async () => {
    const outer = new AbortController();
    for (let round = 0; round < 1_000; round++) await withDeadline(HOUR, outer.signal, late, async () => round);
    expect(getEventListeners(outer.signal, 'abort')).toEqual([]);
  });

  it('cleans up after work that fails, at once or later', async () => {
    const outer = new AbortController();
    const before = timers();
    const throws = (): Promise<never> => {
      throw new Error('at once');
    };
    await expect(withDeadline(HOUR, outer.signal, late, throws)).rejects.toThrow('at once');
    await expect(withDeadline(HOUR, outer.signal, late, () => Promise.reject(new Error('later')))).rejects.toThrow(
      'later',
    );
    expect([getEventListeners(outer.signal, 'abort').length, timers()]).toEqual([0, before]);
  });

  it('aborts with the reason of the time-out, and waits for the work to settle', async () => {
    const [aborted, gate] = [deferred(), deferred()];
    const running = withDeadline(5, undefined, late, async (signal) => {
      signal.addEventListener('abort', () => aborted.resolve());
      await gate.promise;
      throw signal.reason as Error;
    });
    await aborted.promise;
    expect(await settledWithin(running, 5)).toBeUndefined(); // still cleaning up
    gate.resolve();
    await expect(running).rejects.toThrow('too late');
  });

  it('aborts with the reason of the outer signal, whichever is first', async () => {
    const outer = new AbortController();
    const running = withDeadline(HOUR, outer.signal, late, untilAborted);
    outer.abort(new Error('the client went away'));
    await expect(running).rejects.toThrow('the client went away');
  });

  it('hands over an aborted signal when the outer one is aborted already', async () => {
    const reason = new Error('gone before');
    const seen = await withDeadline(HOUR, AbortSignal.abort(reason), late, async (signal) => signal);
    expect([seen.aborted, seen.reason]).toEqual([true, reason]);
  });

  it('makes the error of the time-out only when it is needed', async () => {
    let made = 0;
    const counted = (): Error => new Error(`made ${++made}`);
    await withDeadline(HOUR, undefined, counted, async () => undefined);
    await expect(withDeadline(1, undefined, counted, untilAborted)).rejects.toThrow('made 1');
    expect(made).toBe(1);
  });
});

describe('settledWithin', () => {
  it('gives the value and clears its timer', async () => {
    const before = timers();
    expect(await settledWithin(Promise.resolve(7), HOUR)).toBe(7);
    expect(timers()).toBe(before);
  });

  it('gives undefined for a promise that rejects, now or after the limit', async () => {
    expect(await settledWithin(Promise.reject(new Error('no')), HOUR)).toBeUndefined();
    const slow = deferred();
    expect(await settledWithin(slow.promise, 1)).toBeUndefined();
    slow.reject(new Error('nobody listens any more')); // would end this process if nobody had caught it
    await expect(slow.promise).rejects.toThrow();
  });

  it('gives undefined when the promise never settles', async () => {
    expect(await settledWithin(deferred().promise, 1)).toBeUndefined();
  });
});
