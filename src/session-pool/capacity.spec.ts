import { describe, expect, it } from '@jest/globals';
import { Capacity } from './capacity.js';

const caps = { maxTotal: 3, maxPerGroup: 2, maxKeys: 2 };

describe('Capacity (P-7)', () => {
  it('has room until a cap is reached, and names the cap', () => {
    const capacity = new Capacity(caps);
    expect(capacity.shortage('a', true)).toBeUndefined();
    capacity.take('a', true);
    capacity.take('a', false);
    expect(capacity.shortage('a', false)).toBe('group');
    expect(capacity.shortage('b', true)).toBeUndefined();
    capacity.take('b', true);
    expect(capacity.shortage('b', false)).toBe('total');
    expect(capacity.total).toBe(3);
  });

  it('counts keys only where they are limited, and only new ones', () => {
    const limited = new Capacity({ ...caps, maxKeys: 1 });
    limited.take('a', true);
    expect(limited.shortage('b', true)).toBe('keys');
    expect(limited.shortage('a', false)).toBeUndefined();
    const unlimited = new Capacity({ ...caps, maxKeys: 0 });
    unlimited.take('a', true);
    expect(unlimited.shortage('b', true)).toBeUndefined();
  });

  it('the widest cap is named first: room made for it helps everybody', () => {
    const capacity = new Capacity({ maxTotal: 1, maxPerGroup: 1, maxKeys: 1 });
    capacity.take('a', true);
    expect(capacity.shortage('a', true)).toBe('total');
  });

  it('what is given back can be taken again', () => {
    const capacity = new Capacity({ maxTotal: 1, maxPerGroup: 1, maxKeys: 1 });
    for (let round = 0; round < 3; round += 1) {
      expect(capacity.shortage('a', true)).toBeUndefined();
      capacity.take('a', true);
      expect(capacity.shortage('b', true)).toBe('total');
      capacity.giveBack('a', true);
    }
    expect(capacity.total).toBe(0);
  });

  it('a key stays counted while it has another resource', () => {
    const capacity = new Capacity({ maxTotal: 9, maxPerGroup: 9, maxKeys: 1 });
    capacity.take('a', true);
    capacity.take('a', false);
    capacity.giveBack('a', false);
    expect(capacity.shortage('b', true)).toBe('keys');
    capacity.giveBack('a', true);
    expect(capacity.shortage('b', true)).toBeUndefined();
  });
});
