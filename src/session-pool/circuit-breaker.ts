import { CodedError, type ErrorCode } from '../common/errors.js';

export type CircuitState = 'closed' | 'open' | 'half-open';

export interface CircuitBreakerOptions {
  /** Failures in a row that open the circuit; at least 1. */
  readonly threshold: number;
  /** How long it stays open before one attempt is let through. */
  readonly resetMs: number;
  /** Milliseconds that never jump; `performance.now` by default. */
  readonly now?: () => number;
}

/** One attempt that was let through. Exactly one report counts, the first; whoever got it must make it. */
export interface CircuitAttempt {
  succeeded(): void;
  /** @param code what it failed with, for the message to those who are refused */
  failed(code?: ErrorCode): void;
  /** It said nothing either way: nothing is counted, and a probe's place is given back. */
  abandoned(): void;
}

type Outcome = 'succeeded' | 'failed' | 'abandoned';

/** While the probe is out nobody knows how long it will take. */
const PROBE_RETRY_MS = 1_000;

/**
 * Stops attempts at something that keeps failing (SPEC P-12).
 *
 *   closed -> open         `threshold` failures in a row
 *   open -> half-open      the first attempt after `resetMs`, or a health check: the probe; it is the only one until it
 *                          has reported
 *   half-open -> closed    the probe succeeded
 *   half-open -> open      the probe failed (`resetMs` again), or said nothing (the next attempt is the probe)
 *
 * What began before the last move says nothing about the present state and is ignored: a late failure neither re-opens
 * nor prolongs, a late success closes nothing.
 */
export class CircuitBreaker {
  private current: CircuitState = 'closed';
  private moves = 0;
  private inARow = 0;
  private tripped = 0;
  private reopensAt = 0;
  private lastCode: ErrorCode | undefined;
  private readonly now: () => number;

  constructor(private readonly options: CircuitBreakerOptions) {
    this.now = options.now ?? (() => performance.now());
  }

  /** `open` also when its time is over, until somebody asks. */
  get state(): CircuitState {
    return this.current;
  }

  /** Failures in a row. */
  get failures(): number {
    return this.inARow;
  }

  /** On the clock of `now`; null unless open. */
  get openUntil(): number | null {
    return this.current === 'open' ? this.reopensAt : null;
  }

  /** Milliseconds until the next attempt is let through, 0 if it would be now; null unless open. */
  get timeLeftMs(): number | null {
    return this.current === 'open' ? Math.max(0, this.reopensAt - this.now()) : null;
  }

  /** How often it opened, a probe that failed included. */
  get trips(): number {
    return this.tripped;
  }

  /**
   * @param gateway its name, for the message
   * @throws CircuitOpenError CIRCUIT_OPEN while it is open, or half-open (the probe is out)
   */
  enter(gateway: string): CircuitAttempt {
    return this.enterIf(this.timeLeftMs === 0, gateway);
  }

  /** For who asks at a pace of his own, whatever the time left: a health check. @throws CircuitOpenError as `enter` */
  probe(gateway: string): CircuitAttempt {
    return this.enterIf(this.current === 'open', gateway);
  }

  private enterIf(mayProbe: boolean, gateway: string): CircuitAttempt {
    if (mayProbe) this.move('half-open');
    else if (this.current !== 'closed') throw new CircuitOpenError(gateway, this, this.lastCode);
    return this.attempt();
  }

  private attempt(): CircuitAttempt {
    const begun = this.moves;
    let reported = false;
    const report = (outcome: Outcome, code?: ErrorCode): void => {
      if (reported) return;
      reported = true;
      if (begun === this.moves) this.note(outcome, code);
    };
    return {
      succeeded: () => report('succeeded'),
      failed: (code) => report('failed', code),
      abandoned: () => report('abandoned'),
    };
  }

  private note(outcome: Outcome, code: ErrorCode | undefined): void {
    const probing = this.current === 'half-open';
    switch (outcome) {
      case 'succeeded':
        this.inARow = 0;
        if (probing) this.move('closed');
        return;
      case 'failed':
        this.inARow += 1;
        this.lastCode = code;
        if (this.inARow >= this.options.threshold) this.trip(); // a probe's failure always
        return;
      case 'abandoned':
        if (probing) this.move('open'); // for the rest of its time, if there is any
        return;
    }
  }

  private trip(): void {
    this.tripped += 1;
    this.reopensAt = this.now() + this.options.resetMs;
    this.move('open');
  }

  private move(to: CircuitState): void {
    this.current = to;
    this.moves += 1;
  }
}

/** Refused without an attempt. Holds codes and numbers only: another caller's failure may quote what he was answered. */
export class CircuitOpenError extends CodedError<'CIRCUIT_OPEN'> {
  override readonly name = 'CircuitOpenError';

  constructor(gateway: string, breaker: CircuitBreaker, lastFailure: ErrorCode | undefined) {
    const { failures, state, timeLeftMs } = breaker;
    const retryAfterMs = timeLeftMs === null ? PROBE_RETRY_MS : Math.ceil(timeLeftMs);
    const last = lastFailure === undefined ? '' : ` (${lastFailure} at last)`;
    const next =
      state === 'half-open'
        ? 'one attempt is on its way to see whether that has changed'
        : `the next attempt is made in ${retryAfterMs / 1000} s`;
    super(
      'CIRCUIT_OPEN',
      `${gateway}: no session could be opened ${failures} times in a row${last}; ${next}; see ` +
        'MCP_SESSION_POOL_CIRCUIT_BREAKER_THRESHOLD and MCP_SESSION_POOL_CIRCUIT_BREAKER_RESET',
      { gateway, retryAfterMs, details: { failures, ...(lastFailure === undefined ? {} : { lastFailure }) } },
    );
  }
}
