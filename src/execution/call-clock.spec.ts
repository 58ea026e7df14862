import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { getEventListeners } from 'node:events';
import { CallClock } from './call-clock.js';

const SILENCE = 300_000;
const MAX = 3_600_000;
const expired = (afterMs: number): Error => new Error(`after ${afterMs} ms`);

const clocks: CallClock[] = [];
function start(limits = { silenceMs: SILENCE, maxMs: MAX }, outer?: AbortSignal): CallClock {
  const clock = new CallClock(limits, expired, outer);
  clocks.push(clock);
  return clock;
}
const reasonOf = ({ signal }: CallClock): unknown => (signal.aborted ? (signal.reason as Error).message : 'running');

describe('limits of a call (A-5)', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => {
    for (const clock of clocks.splice(0)) clock.stop();
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  it('ends a call that is silent for its limit, not before', () => {
    const clock = start();
    jest.advanceTimersByTime(SILENCE - 1);
    expect(reasonOf(clock)).toBe('running');
    jest.advanceTimersByTime(1);
    expect(reasonOf(clock)).toBe('after 300000 ms');
  });

  it('a sign of life restarts the silence', () => {
    const clock = start();
    jest.advanceTimersByTime(SILENCE - 1);
    clock.signOfLife();
    jest.advanceTimersByTime(SILENCE - 1);
    expect(reasonOf(clock)).toBe('running');
    jest.advanceTimersByTime(1);
    expect(reasonOf(clock)).toBe('after 599999 ms');
  });

  it('a call that never stops talking ends at the maximum', () => {
    const clock = start();
    while (!clock.signal.aborted) {
      jest.advanceTimersByTime(1_000);
      clock.signOfLife();
    }
    expect(reasonOf(clock)).toBe('after 3600000 ms');
  });

  it('the maximum holds when it is the smaller one', () => {
    const clock = start({ silenceMs: SILENCE, maxMs: 50 });
    jest.advanceTimersByTime(50);
    expect(reasonOf(clock)).toBe('after 50 ms');
  });

  it('100,000 signs of life need one timer, re-armed once a period', () => {
    const clock = start({ silenceMs: 100, maxMs: MAX });
    const arm = jest.spyOn(globalThis, 'setTimeout');
    for (let i = 0; i < 100_000; i++) clock.signOfLife();
    expect([arm.mock.calls.length, jest.getTimerCount()]).toEqual([0, 1]);
    jest.advanceTimersByTime(99);
    clock.signOfLife();
    jest.advanceTimersByTime(1);
    expect([arm.mock.calls.length, jest.getTimerCount()]).toEqual([1, 1]);
    arm.mockRestore();
  });

  it('a stopped clock never aborts, and leaves neither timer nor listener', () => {
    const outer = new AbortController();
    const clock = start(undefined, outer.signal);
    clock.stop();
    clock.stop();
    clock.signOfLife();
    expect([jest.getTimerCount(), getEventListeners(outer.signal, 'abort').length]).toEqual([0, 0]);
    outer.abort();
    jest.advanceTimersByTime(2 * MAX);
    expect(reasonOf(clock)).toBe('running');
  });

  it('a clock that has expired leaves no listener once it is stopped', () => {
    const outer = new AbortController();
    const clock = start({ silenceMs: 1, maxMs: 1 }, outer.signal);
    jest.advanceTimersByTime(1);
    clock.stop();
    expect(getEventListeners(outer.signal, 'abort')).toEqual([]);
  });

  it('D-8: follows the outer signal with its reason, and keeps it when the limit comes later', () => {
    const outer = new AbortController();
    const clock = start(undefined, outer.signal);
    outer.abort(new Error('cancelled by the client'));
    jest.advanceTimersByTime(MAX);
    expect(reasonOf(clock)).toBe('cancelled by the client');
  });

  it('D-8: is aborted from the start when the outer signal is', () => {
    const clock = start(undefined, AbortSignal.abort(new Error('gone before')));
    expect(reasonOf(clock)).toBe('gone before');
  });

  it('D-8: while a person is asked there is no silence; it begins anew with the answer', () => {
    const clock = start();
    jest.advanceTimersByTime(SILENCE - 1);
    clock.hold();
    jest.advanceTimersByTime(3 * SILENCE);
    expect(reasonOf(clock)).toBe('running');
    clock.release();
    jest.advanceTimersByTime(SILENCE - 1);
    expect(reasonOf(clock)).toBe('running');
    jest.advanceTimersByTime(SILENCE);
    expect(reasonOf(clock)).toMatch(/^after /);
  });

  it('D-8: two questions at once: it is silent only when both have their answers', () => {
    const clock = start();
    clock.hold();
    clock.hold();
    clock.release();
    jest.advanceTimersByTime(3 * SILENCE);
    expect(reasonOf(clock)).toBe('running');
    clock.release();
    jest.advanceTimersByTime(2 * SILENCE);
    expect(reasonOf(clock)).toMatch(/^after /);
  });

  it('D-8: the maximum holds while a person is asked', () => {
    const clock = start();
    clock.hold();
    jest.advanceTimersByTime(MAX - 1);
    expect(reasonOf(clock)).toBe('running');
    jest.advanceTimersByTime(1);
    expect(reasonOf(clock)).toBe('after 3600000 ms');
  });

  it('a change of the wall clock changes nothing', () => {
    const clock = start();
    jest.setSystemTime(Date.now() + 86_400_000);
    jest.advanceTimersByTime(SILENCE - 1);
    expect(reasonOf(clock)).toBe('running');
  });
});
