import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Question } from './question.js';

const reasonOf = ({ signal }: Question): unknown => (signal.aborted ? (signal.reason as Error).message : 'waiting');

const LIMITS = { maxMs: 1_000, graceMs: 100 };

describe('Question (D-8)', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('waits for its limit; its server still wants to hear that', () => {
    const question = new Question(LIMITS, () => true);
    jest.advanceTimersByTime(999);
    expect(reasonOf(question)).toBe('waiting');
    jest.advanceTimersByTime(1);
    expect([reasonOf(question), question.unwanted]).toEqual(['it did not answer in 1000 ms', false]);
  });

  it('once withdrawn it wants no answer', () => {
    const question = new Question(LIMITS, () => true);
    question.withdraw('the call has ended');
    expect([reasonOf(question), question.unwanted]).toEqual(['the call has ended', true]);
    question.over();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('that is over leaves no timer and is never aborted', () => {
    const question = new Question(LIMITS, () => true);
    question.over();
    expect(jest.getTimerCount()).toBe(0);
    jest.advanceTimersByTime(5_000);
    expect(reasonOf(question)).toBe('waiting');
  });

  it('that nobody hears waits for its grace, and no longer', () => {
    const question = new Question(LIMITS, () => false);
    jest.advanceTimersByTime(99);
    expect(reasonOf(question)).toBe('waiting');
    jest.advanceTimersByTime(1);
    expect([reasonOf(question), question.unwanted]).toEqual(['it does not listen', false]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('that was heard within its grace has the whole limit from then on', () => {
    let heard = false;
    const question = new Question(LIMITS, () => heard);
    heard = true;
    jest.advanceTimersByTime(1_099);
    expect(reasonOf(question)).toBe('waiting');
    jest.advanceTimersByTime(1);
    expect(reasonOf(question)).toBe('it did not answer in 1000 ms');
  });
});
