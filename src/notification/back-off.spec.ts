import { describe, expect, it } from '@jest/globals';
import { BackOff } from './back-off.js';

const first = (count: number, random: number): number[] => {
  const backOff = new BackOff({ firstMs: 100, maxMs: 1_000, random: () => random });
  return Array.from({ length: count }, () => backOff.next());
};

describe('BackOff', () => {
  it('doubles up to its bound, half of it by chance', () => {
    expect(first(6, 1)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    expect(first(6, 0)).toEqual([50, 100, 200, 400, 500, 500]);
  });

  it('stays at its bound for ever, and begins anew after a success', () => {
    const backOff = new BackOff({ firstMs: 100, maxMs: 1_000, random: () => 1 });
    for (let n = 0; n < 5_000; n += 1) backOff.next();
    expect([backOff.next(), backOff.failures]).toEqual([1_000, 5_001]);
    backOff.reset();
    expect([backOff.failures, backOff.next()]).toEqual([0, 100]);
  });
});
