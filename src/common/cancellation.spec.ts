import { describe, expect, it } from '@jest/globals';
import { Cancellation, toAbortSignal } from './cancellation.js';

describe('Cancellation: as an AbortSignal, for a tenth of its price', () => {
  it('tells each listener once, in order, at once; only the first reason counts', () => {
    const cancellation = new Cancellation();
    const heard: string[] = [];
    cancellation.addEventListener('abort', () => void heard.push('first'));
    const gone = (): void => void heard.push('gone');
    cancellation.addEventListener('abort', gone);
    cancellation.addEventListener('abort', () => void heard.push('last'));
    cancellation.removeEventListener('abort', gone);
    cancellation.abort('why');
    cancellation.abort('again');
    expect([heard, cancellation.aborted, cancellation.reason]).toEqual([['first', 'last'], true, 'why']);
  });

  it('tells nothing to who comes too late or was never there', () => {
    const cancellation = new Cancellation();
    cancellation.removeEventListener('abort', () => undefined);
    cancellation.abort('why');
    let heard = 0;
    cancellation.addEventListener('abort', () => void (heard += 1));
    expect(heard).toBe(0);
  });

  it('a listener may remove another one, which was told by then or is told all the same (as the platform has it not)', () => {
    const cancellation = new Cancellation();
    let heard = 0;
    const second = (): void => void (heard += 1);
    cancellation.addEventListener('abort', () => cancellation.removeEventListener('abort', second));
    cancellation.addEventListener('abort', second);
    cancellation.abort('why');
    expect(heard).toBe(1);
  });

  it('becomes the platform’s own kind, before and after it aborts', () => {
    const cancellation = new Cancellation();
    const early = toAbortSignal(cancellation);
    cancellation.abort(new Error('why'));
    const late = toAbortSignal(cancellation);
    expect([early.aborted, late.aborted, early.reason, late.reason]).toEqual([
      true,
      true,
      ...Array(2).fill(cancellation.reason),
    ]);
    const own = new AbortController().signal;
    expect(toAbortSignal(own)).toBe(own);
  });
});
