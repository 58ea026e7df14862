import { type CancelSignal } from '../common/cancellation.js';
import { UpstreamError } from '../upstream/upstream.errors.js';
import { type Target } from '../upstream/upstream.port.js';
import { CircuitBreaker, type CircuitBreakerOptions, type CircuitState } from './circuit-breaker.js';

/** One circuit as metrics show it (SPEC P-17); the URL stays inside, it may hold a credential. */
export interface CircuitNumbers {
  readonly gatewayId: string;
  /** Its name. */
  readonly gateway: string;
  readonly failures: number;
  readonly state: CircuitState;
  /** Epoch milliseconds; null unless open. */
  readonly openUntil: number | null;
}

interface Circuit {
  readonly breaker: CircuitBreaker;
  target: Target;
  /** Attempts that have not reported: they must find the same breaker again. */
  running: number;
}

/**
 * A circuit breaker for each (gateway, URL), around the opening of sessions (SPEC P-12). One that is closed, without
 * failures and without attempts on their way is dropped.
 */
export class Circuits {
  private readonly circuits = new Map<string, Circuit>();
  private droppedTrips = 0;

  constructor(private readonly options: CircuitBreakerOptions) {}

  /**
   * Opens a session through the circuit of its server.
   *
   * @param open must settle, within a time-out of its own: it may be the one probe that everybody waits for
   * @param signal of the caller, where `open` follows it: a failure after it aborted says nothing about the server
   * @param as a health check asks an open circuit's server, too: it comes at a pace of its own, and finds it back
   * @throws CircuitOpenError CIRCUIT_OPEN at once; what `open` threw
   */
  async run<T>(
    target: Target,
    open: () => Promise<T>,
    signal?: CancelSignal,
    as: 'call' | 'health' = 'call',
  ): Promise<T> {
    const circuit = this.circuitOf(target);
    const { breaker } = circuit;
    const attempt = as === 'health' ? breaker.probe(target.gatewayName) : breaker.enter(target.gatewayName);
    circuit.running += 1;
    try {
      const opened = await open();
      attempt.succeeded();
      return opened;
    } catch (error) {
      if (this.counts(error) && !signal?.aborted) attempt.failed(error.code);
      else attempt.abandoned();
      throw error;
    } finally {
      circuit.running -= 1;
      this.prune(circuit);
    }
  }

  /**
   * Whether a failure to open a session speaks against the server. A server that refuses credentials (401, 403) or
   * limits its callers (429) is alive; caps, routing and cancelled calls are not its doing.
   */
  counts(error: unknown): error is UpstreamError {
    if (!(error instanceof UpstreamError)) return false;
    return error.code !== 'CANCELLED' && error.code !== 'UPSTREAM_UNAUTHORIZED' && !ALIVE.has(error.status);
  }

  /** The gateway has changed: what was learnt of it holds no more (P-14). Attempts on their way count for nobody. */
  forget(gatewayId: string): void {
    for (const circuit of [...this.circuits.values()]) {
      if (circuit.target.gatewayId === gatewayId) this.drop(circuit);
    }
  }

  snapshot(): CircuitNumbers[] {
    return [...this.circuits.values()].map(({ breaker, target }) => {
      const { failures, state, openUntil } = breaker;
      return {
        gatewayId: target.gatewayId,
        gateway: target.gatewayName,
        failures,
        state,
        openUntil: openUntil === null ? null : this.epoch(openUntil),
      };
    });
  }

  /** How often circuits opened, those included that are gone. */
  get trips(): number {
    let sum = this.droppedTrips;
    for (const { breaker } of this.circuits.values()) sum += breaker.trips;
    return sum;
  }

  private circuitOf(target: Target): Circuit {
    const key = keyOf(target);
    const known = this.circuits.get(key);
    if (known) {
      known.target = target; // the gateway may have a new name
      return known;
    }
    const circuit = { breaker: new CircuitBreaker(this.options), target, running: 0 };
    this.circuits.set(key, circuit);
    return circuit;
  }

  private prune(circuit: Circuit): void {
    const { breaker, running, target } = circuit;
    if (running > 0 || breaker.state !== 'closed' || breaker.failures > 0) return;
    if (this.circuits.get(keyOf(target)) === circuit) this.drop(circuit);
  }

  private drop(circuit: Circuit): void {
    this.droppedTrips += circuit.breaker.trips;
    this.circuits.delete(keyOf(circuit.target));
  }

  private epoch(time: number): number {
    const now = this.options.now?.() ?? performance.now();
    return Math.round(Date.now() + time - now);
  }
}

const ALIVE = new Set<number | undefined>([401, 403, 429]);

function keyOf({ gatewayId, url }: Target): string {
  return `${gatewayId}\n${url}`;
}
