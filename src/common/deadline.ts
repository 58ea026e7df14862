import { Cancellation, type CancelSignal, reasonOf } from './cancellation.js';
/**
 * Runs `work` with a signal that aborts when `signal` does or after `ms` milliseconds, whichever is first. The timer
 * and the listener on the outer signal are gone when `work` has settled, so a long-lived signal collects nothing.
 *
 * @param expired makes the abort reason of the time-out
 * @returns what `work` returns; it is `work`'s duty to settle when its signal aborts
 */
export async function withDeadline<T>(
  ms: number,
  signal: CancelSignal | undefined,
  expired: () => Error,
  work: (signal: CancelSignal) => Promise<T>,
): Promise<T> {
  const limit = new Cancellation();
  const follow = (): void => limit.abort(signal?.reason);
  if (signal?.aborted) follow();
  else signal?.addEventListener('abort', follow, { once: true });
  const timer = setTimeout(() => limit.abort(expired()), ms);
  try {
    return await work(limit);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', follow);
  }
}

/** Resolves with the promise's value, or with `undefined` after `ms`: for ends that must not hang. Never rejects. */
export async function settledWithin<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise.catch(() => undefined), limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** The promise's outcome, or the signal's reason if it aborts first; the promise itself goes on. */
export async function abortable<T>(promise: Promise<T>, signal: CancelSignal): Promise<T> {
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(reasonOf(signal));
  });
  promise.catch(() => undefined); // whoever gave up will not hear of its failure
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
