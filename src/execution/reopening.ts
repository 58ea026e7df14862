import { Cancellation, type CancelSignal } from '../common/cancellation.js';
import { withDeadline } from '../common/deadline.js';
import { toCodedError } from '../common/errors.js';

const FIRST_MS = 1_000;
const MAX_MS = 30_000;
/** A session that stood that long has come back; above the longest pause, or that would look like it. */
const CALM_MS = 2 * MAX_MS;
/** One attempt: waiting for a place, connecting, `initialize`, the subscriptions. */
const ATTEMPT_MS = 60_000;
/** The downstream session, its gateway or the pool is gone: there is nothing to come back to. */
const FINAL: ReadonlySet<string> = new Set(['SESSION_NOT_FOUND', 'NOT_FOUND', 'POOL_CLOSED', 'POOL_UNAVAILABLE']);

/** Opens an upstream session on. @throws Error if that fails now */
export type Open = (signal: CancelSignal) => Promise<unknown>;

/**
 * Brings a session back that nobody calls on but that is needed all the same, with a growing pause between attempts,
 * also where it opens and is lost at once again; one that has stood for long begins anew.
 *
 *   idle -> waiting -> opening -> idle | waiting        any -> stopped
 */
export class Reopening {
  private readonly stopping = new Cancellation();
  private timer: NodeJS.Timeout | undefined;
  private opening = false;
  private attempts = 0;
  private since = -Infinity; // the end of the last attempt

  constructor(
    /** Asked before each attempt. */
    private readonly needed: () => boolean,
    private readonly open: Open,
    private readonly firstMs = FIRST_MS,
  ) {}

  /** To be called when the session has gone; more than once is once. */
  start(): void {
    if (this.stopping.aborted || this.timer !== undefined || this.opening || !this.needed()) return;
    if (performance.now() - this.since > CALM_MS) this.attempts = 0;
    const pause = Math.min(this.firstMs * 2 ** this.attempts, MAX_MS);
    this.attempts += 1;
    this.timer = setTimeout(() => void this.attempt(), pause).unref();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.stopping.abort(new Error('the session has ended'));
  }

  private async attempt(): Promise<void> {
    this.timer = undefined;
    if (!this.needed()) return; // somebody's call has brought it back
    this.opening = true;
    try {
      const late = (): Error => new Error(`not open in ${ATTEMPT_MS} ms`);
      await withDeadline(ATTEMPT_MS, this.stopping, late, (signal) => this.open(signal));
    } catch (error) {
      if (FINAL.has(toCodedError(error).code)) this.stop();
    } finally {
      this.opening = false;
      this.since = performance.now();
    }
    this.start(); // if it is needed still
  }
}
