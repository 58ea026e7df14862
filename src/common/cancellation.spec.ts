import { describe, expect, it, jest } from '@jest/globals';
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

  it.each([
    ['a Cancellation', () => new Cancellation()],
    ['the platform', () => new AbortController()],
  ])('%s: a listener removed by another one hears nothing, and those around it do', (_name, make) => {
    const controller = make();
    const signal = controller instanceof Cancellation ? controller : controller.signal;
    const heard: string[] = [];
    const second = (): void => void heard.push('second');
    const first = (): void => {
      signal.removeEventListener('abort', first);
      signal.removeEventListener('abort', second);
      heard.push('first');
    };
    signal.addEventListener('abort', first);
    signal.addEventListener('abort', second);
    signal.addEventListener('abort', () => void heard.push('third'));
    controller.abort('why');
    expect(heard).toEqual(['first', 'third']);
  });

  it('one that throws keeps nothing from the others, and its error is not lost', () => {
    const later = jest.spyOn(globalThis, 'queueMicrotask').mockImplementation(() => undefined);
    try {
      const cancellation = new Cancellation();
      let heard = 0;
      cancellation.addEventListener('abort', () => {
        throw new Error('a mistake');
      });
      cancellation.addEventListener('abort', () => void (heard += 1));
      cancellation.abort('why');
      expect(heard).toBe(1);
      expect(later).toHaveBeenCalledTimes(1);
      expect(later.mock.calls[0]?.[0]).toThrow('a mistake');
    } finally {
      later.mockRestore();
    }
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
