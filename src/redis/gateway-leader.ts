import { Leadership } from './leadership.js';
import { type Locks } from './locks.js';

/** What is to run as long as this replica leads; it must not throw, and must end when `signal` aborts. */
export type LeadListener = (signal: AbortSignal) => void;

export interface GatewayLeaderOptions {
  /** How long nobody leads when a leader dies. */
  readonly ttlMs?: number;
}

const LOCK = 'leader:gateways';
const TTL_MS = 15_000;

/**
 * One replica does for all what must be done once: the health loop and the watch sessions (SPEC N-1, G-7). While Redis
 * is away nobody leads; without Redis this replica is the only one and does.
 */
export class GatewayLeader {
  private readonly listeners = new Set<LeadListener>();
  private readonly leadership: Leadership;
  private current: AbortSignal | undefined;
  private stopped: Promise<void> | undefined;

  constructor(locks: Locks, { ttlMs = TTL_MS }: GatewayLeaderOptions = {}) {
    this.leadership = new Leadership(locks, { name: LOCK, ttlMs, lead: (signal) => this.lead(signal) });
  }

  get leading(): boolean {
    return this.current !== undefined && !this.current.aborted;
  }

  /** Each time that this replica begins to lead; at once if it leads already. */
  onLead(listener: LeadListener): void {
    this.listeners.add(listener);
    if (this.current && !this.current.aborted) listener(this.current);
  }

  start(): void {
    this.leadership.start();
  }

  /** Lets another replica lead at once. Remembered. */
  stop(): Promise<void> {
    this.stopped ??= this.leadership.stop();
    return this.stopped;
  }

  private lead(signal: AbortSignal): void {
    this.current = signal;
    for (const listener of this.listeners) listener(signal);
  }
}
