import { Cancellation, type CancelSignal } from '../common/cancellation.js';
/**
 * The two limits of a call (SPEC A-5): `silenceMs` without a sign of life, and `maxMs` in all. One timer, re-armed only
 * when it fires, so a sign of life costs nothing. Follows an outer signal too.
 */
export class CallClock {
  private readonly cancellation = new Cancellation();
  private readonly started = performance.now();
  private lastSign = this.started;
  private holds = 0;
  private timer: NodeJS.Timeout;
  private readonly follow = (): void => this.cancellation.abort(this.outer?.reason);

  constructor(
    private readonly limits: { readonly silenceMs: number; readonly maxMs: number },
    private readonly expired: (afterMs: number) => Error,
    private readonly outer?: CancelSignal,
  ) {
    this.timer = this.arm(Math.min(limits.silenceMs, limits.maxMs));
    if (outer?.aborted) this.follow();
    else outer?.addEventListener('abort', this.follow, { once: true });
  }

  get signal(): CancelSignal {
    return this.cancellation;
  }

  signOfLife(): void {
    this.lastSign = performance.now();
  }

  /** While somebody else is waited for (a person who is asked something), the silence is not the server's. */
  hold(): void {
    this.holds += 1;
  }

  /** Once for each `hold()`. */
  release(): void {
    this.holds -= 1;
    this.signOfLife();
  }

  /** Must be called when the call has ended. */
  stop(): void {
    clearTimeout(this.timer);
    this.outer?.removeEventListener('abort', this.follow);
  }

  private arm(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.check(), ms);
  }

  private check(): void {
    const now = performance.now();
    if (this.holds > 0) this.lastSign = now;
    const left = Math.min(this.lastSign + this.limits.silenceMs, this.started + this.limits.maxMs) - now;
    if (left > 0) this.timer = this.arm(Math.ceil(left));
    else this.cancellation.abort(this.expired(Math.round(now - this.started)));
  }
}
