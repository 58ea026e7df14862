import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';

export interface UntilOptions {
  /** Milliseconds until it gives up; the default is 5000. */
  readonly timeoutMs?: number;
  /** What is waited for, for the message of the failure. */
  readonly what: string;
}

export type Truthy<T> = Exclude<T, false | 0 | 0n | '' | null | undefined>;

const PAUSE_MS = 10;

/**
 * Asks `probe` again and again until it answers with something truthy, and returns that. A probe that throws has not
 * answered yet (a server that is not up refuses connections); a probe that hangs is given up on at the deadline.
 *
 * @throws Error with `what`, the last answer and the elapsed time
 */
export async function until<T>(probe: () => T | Promise<T>, options: UntilOptions): Promise<Truthy<T>> {
  const { timeoutMs = 5000, what } = options;
  const started = performance.now();
  const giveUp = new AbortController();
  const deadline = pause(timeoutMs, undefined, { signal: giveUp.signal }).catch(() => undefined);
  let last = 'the probe has not answered';
  try {
    do {
      const answer = await Promise.race([ask(probe), deadline]);
      if (answer === undefined) break;
      if ('value' in answer && answer.value) return answer.value as Truthy<T>;
      last = 'value' in answer ? `last value: ${inspect(answer.value)}` : `last error: ${String(answer.error)}`;
      await pause(PAUSE_MS);
    } while (performance.now() - started < timeoutMs);
  } finally {
    giveUp.abort();
  }
  throw new Error(`${what}: not within ${Math.round(performance.now() - started)} ms; ${last}`);
}

async function ask<T>(probe: () => T | Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await probe() };
  } catch (error) {
    return { error };
  }
}
