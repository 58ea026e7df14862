import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type Deferred, deferred } from '../../test/support/deferred.js';
import { type PassResult, RefreshDebouncer, type Wanted } from './refresh-debouncer.js';

const QUIET = 100;
const MAX_WAIT = 500;
const RETRY = { firstMs: 1_000, maxMs: 8_000, random: () => 1 };

interface Pass {
  readonly wanted: Wanted<string>;
  readonly at: number;
  readonly end: Deferred<PassResult>;
}

/** A debouncer whose passes end when the test says so. */
function setUp() {
  const passes: Pass[] = [];
  const failures: [count: number, retryMs: number][] = [];
  const recoveries: number[] = [];
  let running = 0;
  const debouncer = new RefreshDebouncer<string>({
    ...{ quietMs: QUIET, maxWaitMs: MAX_WAIT, retry: RETRY },
    run: async (take, signal) => {
      running += 1;
      if (running > 1) throw new Error('two passes at once');
      const end = deferred<PassResult>();
      const abort = (): void => end.reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      passes.push({ wanted: take(), at: performance.now(), end });
      return end.promise.finally(() => {
        running -= 1;
        signal.removeEventListener('abort', abort);
      });
    },
    onFailure: (_error, count, retryMs) => void failures.push([count, retryMs]),
    onRecovery: (count) => void recoveries.push(count),
  });
  const kindsOf = (n: number): string[] => [...(passes[n]?.wanted.kinds ?? [])].sort();
  const end = async (n: number, result: PassResult | Error = 'changed'): Promise<void> => {
    if (result instanceof Error) passes[n]?.end.reject(result);
    else passes[n]?.end.resolve(result);
    await jest.advanceTimersByTimeAsync(0);
  };
  return { debouncer, passes, failures, recoveries, kindsOf, end };
}

const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

describe('RefreshDebouncer (N-4, N-5)', () => {
  it('begins after the quiet period, once, with the kinds of all', async () => {
    const { debouncer, passes, kindsOf } = setUp();
    expect([debouncer.request(['a']), debouncer.request(['b', 'a']), debouncer.busy]).toEqual([false, true, true]);
    await pass(QUIET - 1);
    expect(debouncer.request(['c'])).toBe(true);
    await pass(QUIET - 1);
    expect(passes).toHaveLength(0);
    await pass(1);
    expect([passes.length, kindsOf(0)]).toEqual([1, ['a', 'b', 'c']]);
  });

  it('a sender that never rests cannot postpone it beyond the maximum wait', async () => {
    const { debouncer, passes } = setUp();
    const started = performance.now();
    for (let ms = 0; passes.length === 0 && ms < 2 * MAX_WAIT; ms += 5) {
      debouncer.request(['a']);
      await pass(5);
    }
    expect(passes[0]?.at).toBe(started + MAX_WAIT);
  });

  it('what comes during a pass causes another one afterwards, however it ends', async () => {
    const { debouncer, passes, kindsOf, end } = setUp();
    debouncer.request(['a']);
    await pass(QUIET);
    expect(debouncer.request(['b'])).toBe(false); // not of the running pass any more
    await pass(10 * MAX_WAIT);
    expect(passes).toHaveLength(1);
    await end(0);
    await pass(0);
    expect([passes.length, kindsOf(1)]).toEqual([2, ['b']]); // it has waited long enough
    await end(1);
    expect(debouncer.busy).toBe(false);
    await pass(100_000);
    expect(passes).toHaveLength(2);
  });

  it('what comes while a pass waits for its turn goes into it', async () => {
    const turn = deferred();
    const taken: Wanted<string>[] = [];
    const debouncer = new RefreshDebouncer<string>({
      ...{ quietMs: QUIET, maxWaitMs: MAX_WAIT, retry: RETRY, onFailure: () => undefined },
      run: async (take) => {
        await turn.promise;
        taken.push(take());
        return 'changed';
      },
    });
    debouncer.request(['a']);
    await pass(QUIET);
    expect(debouncer.request(['b'])).toBe(true);
    turn.resolve();
    await pass(10 * MAX_WAIT);
    expect(taken.map(({ kinds }) => [...kinds])).toEqual([['a', 'b']]);
  });

  it('a failed pass comes again with its kinds, after pauses that grow up to a bound, until one succeeds', async () => {
    const { debouncer, passes, failures, recoveries, kindsOf, end } = setUp();
    debouncer.request(['a', 'b']);
    await pass(QUIET);
    const first = passes[0]?.wanted.since;
    for (let n = 0; n < 5; n += 1) {
      await end(n, new Error('away'));
      expect(debouncer.busy).toBe(true);
      await pass(failures[n]?.[1] ?? 0);
    }
    expect(failures).toEqual([1_000, 2_000, 4_000, 8_000, 8_000].map((ms, n) => [n + 1, ms]));
    expect([passes.length, kindsOf(5), passes[5]?.wanted.since]).toEqual([6, ['a', 'b'], first]);
    await end(5);
    expect([recoveries, debouncer.busy]).toEqual([[5], false]);
    await pass(100_000);
    expect(passes).toHaveLength(6);
  });

  it('whoever asks after a failed pass need not wait for its pause; its kinds are done along', async () => {
    const { debouncer, passes, kindsOf, end } = setUp();
    debouncer.request(['a']);
    await pass(QUIET);
    await end(0, new Error('away'));
    debouncer.request(['b']);
    await pass(QUIET);
    expect([passes.length, kindsOf(1)]).toEqual([2, ['a', 'b']]);
    await end(1);
    await pass(100_000);
    expect(passes).toHaveLength(2);
  });

  it('one who cries wolf is heard less often, but within the maximum wait, and at once again after a real change', async () => {
    const { debouncer, passes, end } = setUp();
    const pauses: number[] = [];
    for (let n = 0; n < 14; n += 1) {
      debouncer.request(['a']);
      const asked = performance.now();
      for (let ms = 0; passes.length === n && ms < 60_000; ms += QUIET) await pass(QUIET);
      pauses.push(performance.now() - asked);
      await end(n, n === 12 ? 'changed' : 'unchanged');
    }
    const quick = Array<number>(6).fill(QUIET);
    expect(pauses).toEqual([...quick, ...[200, 400], ...Array<number>(5).fill(MAX_WAIT), QUIET]);
  });

  it('stop() aborts the running pass and waits for it; nothing begins afterwards', async () => {
    const { debouncer, passes, failures } = setUp();
    debouncer.request(['a']);
    await pass(QUIET);
    debouncer.request(['b']);
    await debouncer.stop();
    expect([debouncer.request(['c']), debouncer.busy]).toEqual([false, false]);
    await pass(100_000);
    expect([passes.length, failures]).toEqual([1, []]);
  });

  it('stop() while it waits cancels the timer', async () => {
    const { debouncer, passes } = setUp();
    debouncer.request(['a']);
    await debouncer.stop();
    await pass(100_000);
    expect([passes.length, jest.getTimerCount()]).toEqual([0, 0]);
  });
});
