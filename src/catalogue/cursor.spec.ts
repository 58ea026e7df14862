import { describe, expect, it } from '@jest/globals';
import { decodeCursor, encodeCursor, pageOf } from './cursor.js';

describe('cursors (SPEC D-6)', () => {
  it.each(['a', 'weather-get_forecast', 'gw:two:file:///ä 世界', 'x'.repeat(2_100)])(
    'carries %s there and back',
    (key) => {
      const cursor = encodeCursor('tools', key);
      expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(decodeCursor('tools', cursor)).toBe(key);
    },
  );

  it('refuses every cursor that was changed by one character', () => {
    const cursor = encodeCursor('tools', 'weather-get');
    for (let i = 0; i < cursor.length; i++) {
      const other = cursor[i] === 'A' ? 'B' : 'A';
      const changed = cursor.slice(0, i) + other + cursor.slice(i + 1);
      expect(() => decodeCursor('tools', changed)).toThrow(expect.objectContaining({ code: 'INVALID_PARAMS' }));
    }
  });

  it.each(['', 'A', '!!!', 'null', encodeCursor('prompts', 'a'), `${encodeCursor('tools', 'a')}=`])(
    'refuses %j',
    (cursor) => expect(() => decodeCursor('tools', cursor)).toThrow('cursor'),
  );

  it('gives a next cursor only when there is more', () => {
    const key = (row: string): string => row;
    expect(pageOf('l', ['a', 'b'], 2, key)).toEqual({ items: ['a', 'b'] });
    expect(pageOf('l', ['a', 'b', 'c'], 2, key)).toEqual({ items: ['a', 'b'], nextCursor: encodeCursor('l', 'b') });
    expect(pageOf('l', [], 2, key)).toEqual({ items: [] });
  });
});
