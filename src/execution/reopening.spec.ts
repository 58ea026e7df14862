import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { reasonOf } from '../common/cancellation.js';
import { CodedError } from '../common/errors.js';
import { Reopening } from './reopening.js';

let needed: boolean;
let at: number[];
let open: () => Promise<unknown>;
let reopening: Reopening;
const advance = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  jest.useFakeTimers();
  needed = true;
  at = [];
  open = () => Promise.reject(new Error('away'));
  const started = performance.now();
  reopening = new Reopening(
    () => needed,
    () => (at.push(Math.round(performance.now() - started)), open()),
  );
});
afterEach(() => {
  reopening.stop();
  jest.useRealTimers();
});

describe('Reopening (P-9)', () => {
  it('tries on with a growing pause, 30 s at most, however often it is started', async () => {
    reopening.start();
    reopening.start();
    await advance(95_000);
    expect(at).toEqual([1_000, 3_000, 7_000, 15_000, 31_000, 61_000, 91_000]);
  });

  it('also where it opens and is lost at once again; what has stood for long begins anew', async () => {
    open = async () => void (needed = at.length < 3);
    reopening.start();
    await advance(8_000);
    expect(at).toEqual([1_000, 3_000, 7_000]);
    await advance(92_000);
    expect(at).toHaveLength(3); // it stands
    needed = true;
    reopening.start();
    await advance(1_000);
    expect(at.slice(3)).toEqual([101_000]);
  });

  it('does nothing where a call was faster', async () => {
    reopening.start();
    needed = false;
    await advance(60_000);
    expect(at).toEqual([]);
  });

  it.each(['SESSION_NOT_FOUND', 'NOT_FOUND', 'POOL_CLOSED'] as const)('%s is the end of it', async (code) => {
    open = () => Promise.reject(new CodedError(code, 'gone'));
    reopening.start();
    await advance(60_000);
    reopening.start();
    await advance(60_000);
    expect(at).toEqual([1_000]);
  });

  it('stops for good, in the middle of an attempt, too', async () => {
    let aborted = false;
    reopening = new Reopening(
      () => true,
      (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true;
            reject(reasonOf(signal));
          });
        }),
    );
    reopening.start();
    await advance(1_000);
    reopening.stop();
    await advance(60_000);
    reopening.start();
    expect([aborted, jest.getTimerCount()]).toEqual([true, 0]);
  });
});
