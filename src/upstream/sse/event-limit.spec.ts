import { describe, expect, it } from '@jest/globals';
import { EventLimit } from './event-limit.js';

describe('EventLimit (S-6)', () => {
  const exceeded = (max: number, chunks: readonly string[]): boolean => {
    const limit = new EventLimit(max);
    return chunks.some((chunk) => limit.exceededBy(Buffer.from(chunk)));
  };
  const event = 'data: 012345\n\n';

  it.each([
    ['LF', event.repeat(20)],
    ['CR LF', 'data: 0123\r\n\r\n'.repeat(20)],
    ['comments between', `${event}: hi\n\n`.repeat(20)],
  ])('events of the size allowed never exceed it, with %s, however they are cut', (_what, text) => {
    expect(exceeded(12, [text])).toBe(false);
    expect(exceeded(12, [...text])).toBe(false);
    expect(exceeded(12, text.split(/(?<=\n)/))).toBe(false);
  });

  it.each([
    ['one line', 'data: 0123456\n\n'],
    ['two lines', 'data: 012\ndata: 1\n\n'],
    ['lines of one character are no end of an event', 'x\n'.repeat(20)],
    ['no end at all', 'x'.repeat(20)],
  ])('what is larger exceeds it: %s', (_what, text) => {
    expect(exceeded(12, [event, text])).toBe(true);
    expect(exceeded(12, [...event, ...text])).toBe(true);
  });
});
