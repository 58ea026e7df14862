import { type CancelSignal } from '../common/cancellation.js';
import { PoolError } from './pool.errors.js';

export interface CallGateOptions {
  /** Calls of one gateway at once; at least 1. */
  readonly maxInFlight: number;
  /** Calls that wait for one of these places; at least 0. */
  readonly maxQueued: number;
}

/** Gives the place back, to the longest waiter. A second call does nothing: `finally` blocks may overlap. */
export type Leave = () => void;

interface Waiter {
  give(leave: Leave): void;
}

/**
 * Bounds the calls to one gateway, so that a hung one cannot take everything (SPEC P-7). First come, first served.
 *
 * Invariants: at most `maxInFlight` places are out; somebody queues only while all are out; a place that is given back
 * goes to the longest waiter at once, so nobody overtakes.
 */
export class CallGate {
  private running = 0;
  private readonly waiters: Waiter[] = [];

  constructor(
    private readonly options: CallGateOptions,
    /** Called when the last call has left and nobody waits. */
    private readonly emptied: () => void = () => undefined,
  ) {}

  get inFlight(): number {
    return this.running;
  }

  get queued(): number {
    return this.waiters.length;
  }

  /** A place, now, or `undefined`. The way of nearly every call: no promise, no listener. */
  tryEnter(): Leave | undefined {
    if (this.running >= this.options.maxInFlight) return undefined;
    this.running += 1;
    return this.place();
  }

  /**
   * A place, at once or when one comes free.
   *
   * @param gateway its name, for the message
   * @throws PoolError POOL_EXHAUSTED at once when the queue is full; when `signal` aborts, with the time waited
   */
  async enter(signal: CancelSignal, gateway?: string): Promise<Leave> {
    if (signal.aborted) throw this.waited(gateway, 0, signal.reason);
    const leave = this.tryEnter();
    if (leave) return leave;
    if (this.queued >= this.options.maxQueued) throw this.refusal(gateway, 'too many calls at once', {});
    return this.wait(signal, gateway);
  }

  private wait(signal: CancelSignal, gateway: string | undefined): Promise<Leave> {
    return new Promise((resolve, reject) => {
      const since = performance.now();
      const waiter: Waiter = {
        give: (leave) => {
          signal.removeEventListener('abort', giveUp);
          resolve(leave);
        },
      };
      const giveUp = (): void => {
        const at = this.waiters.indexOf(waiter);
        if (at < 0) return; // it has its place
        const error = this.waited(gateway, performance.now() - since, signal.reason);
        this.waiters.splice(at, 1);
        reject(error);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.waiters.push(waiter);
    });
  }

  private place(): Leave {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.waiters.shift();
      if (next) return next.give(this.place()); // the place changes hands and is never free in between
      this.running -= 1;
      if (this.running === 0) this.emptied();
    };
  }

  private waited(gateway: string | undefined, ms: number, cause: unknown): PoolError {
    const waitedMs = Math.round(ms);
    return this.refusal(gateway, `no call ended in the ${waitedMs} ms that this one waited`, { waitedMs }, cause);
  }

  private refusal(
    gateway: string | undefined,
    what: string,
    numbers: Readonly<Record<string, number>>,
    cause?: unknown,
  ): PoolError {
    const { inFlight, queued } = this;
    const { maxInFlight, maxQueued } = this.options;
    const message =
      `${gateway === undefined ? '' : `${gateway}: `}${what} (${inFlight} of ${maxInFlight} in flight, ${queued} of ` +
      `${maxQueued} queued); see MCP_SESSION_POOL_MAX_CALLS_PER_GATEWAY, MCP_SESSION_POOL_MAX_QUEUED_PER_GATEWAY`;
    return new PoolError('POOL_EXHAUSTED', message, undefined, {
      cause,
      retryAfterMs: RETRY_AFTER_MS,
      details: { inFlight, queued, maxInFlight, maxQueued, ...numbers },
      ...(gateway === undefined ? {} : { gateway }),
    });
  }
}

const RETRY_AFTER_MS = 1_000;

/** A gate for each gateway; those without a call are dropped. */
export class CallGates {
  private readonly gates = new Map<string, CallGate>();

  constructor(private readonly options: CallGateOptions) {}

  tryEnter(gatewayId: string): Leave | undefined {
    return this.gateOf(gatewayId).tryEnter();
  }

  /** @throws as {@link CallGate.enter} */
  async enter(gatewayId: string, signal: CancelSignal, gateway?: string): Promise<Leave> {
    // A gate that nobody gets into would never be dropped.
    if (signal.aborted && !this.gates.has(gatewayId)) return new CallGate(this.options).enter(signal, gateway);
    return this.gateOf(gatewayId).enter(signal, gateway);
  }

  /** Gateways with calls, and these calls. */
  get numbers(): { readonly gateways: number; readonly inFlight: number; readonly queued: number } {
    let [inFlight, queued] = [0, 0];
    for (const gate of this.gates.values()) [inFlight, queued] = [inFlight + gate.inFlight, queued + gate.queued];
    return { gateways: this.gates.size, inFlight, queued };
  }

  private gateOf(gatewayId: string): CallGate {
    const known = this.gates.get(gatewayId);
    if (known) return known;
    const gate = new CallGate(this.options, () => this.gates.delete(gatewayId));
    this.gates.set(gatewayId, gate);
    return gate;
  }
}
