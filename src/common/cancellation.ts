/**
 * What waiting code needs of an `AbortSignal`; every `AbortSignal` is one. On the way of every call a `Cancellation` stands
 * in for it, because making an `AbortController` with one listener costs 4 µs, a twentieth of the call
 * (docs/performance.md).
 */
export interface CancelSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * Controller and signal in one. Listeners hear of it once, at once and in order, except those that were removed by then.
 * One that throws keeps nothing from the others; its error is uncaught, as with an `AbortSignal`.
 */
export class Cancellation implements CancelSignal {
  aborted = false;
  reason: unknown;
  private listeners: (() => void)[] | undefined;

  /** Only the first call counts. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    for (let listener = this.listeners?.shift(); listener; listener = this.listeners?.shift()) {
      try {
        listener();
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.aborted) return; // as an `AbortSignal`: who comes too late has to look
    this.listeners ??= [];
    this.listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.listeners?.indexOf(listener) ?? -1;
    if (at >= 0) this.listeners?.splice(at, 1);
  }
}

/** Why it has aborted; what aborts with something else than an error is a mistake of ours. */
export function reasonOf(signal: CancelSignal): Error {
  return signal.reason as Error;
}

/** @throws the reason of a signal that has aborted */
export function throwIfAborted(signal: CancelSignal): void {
  if (signal.aborted) throw signal.reason;
}

/** For what only takes the platform's own kind. Both live as long as the work that they are for. */
export function toAbortSignal(signal: CancelSignal): AbortSignal {
  if (signal instanceof AbortSignal) return signal;
  const controller = new AbortController();
  if (signal.aborted) controller.abort(signal.reason);
  else signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true });
  return controller.signal;
}
