import { type CancelSignal } from '../common/cancellation.js';
import { abortable, settledWithin } from '../common/deadline.js';
import { CodedError } from '../common/errors.js';
import { type UpstreamSession } from '../upstream/upstream.port.js';
import { type BoundOwner, type BoundUse } from './bound-owner.js';
import { type Lease } from './bounded-pool.types.js';
import { TurnedAway } from './pool.errors.js';
import { type PoolKey } from './pool-key.js';
import { gotNoAnswer } from './repair.js';

/** A server that does not take log level and subscriptions must not hold up the call that waits for its session. */
const RESTORE_TIMEOUT_MS = 5_000;

export interface BoundSessionsOptions {
  /** Takes a slot and opens a session; the lease is held for as long as the session is bound. */
  acquire(key: PoolKey): Promise<Lease<UpstreamSession>>;
  /** Nobody will ask for this key again: whatever is idle there, or still being opened for nobody, is of no use. */
  abandon(key: PoolKey): void;
  readonly now?: () => number;
}

/** `reuse`: nothing against it, but the pool closes. */
type Retirement = 'discard' | 'done' | 'reuse';

/** A session in use: several calls at once share it, and it ends when the last of them has ended. */
interface Held {
  readonly lease: Lease<UpstreamSession>;
  lastUsed: number;
  inFlight: number;
  /** A call on it got no answer: looked at before its next use. */
  suspect: boolean;
  /** Set once it is retired: no new call gets it, and its last one gives it back with this. */
  verdict: Retirement | undefined;
}

interface Slot {
  /** The newest of equal keys: it carries the target that the next session is opened with. */
  key: PoolKey;
  /** Who used it last: all of one slot are of the same downstream session. */
  owner: BoundOwner | undefined;
  current?: Held;
  /** Single flight: parallel first calls cause one `initialize`. */
  opening: Promise<Held> | undefined;
  /** Whether a session was bound here before; a further one is a repair. */
  opened: boolean;
  /** Nobody will ask here again: its downstream session has ended, its gateway has changed, or the pool closes. */
  ended: 'session' | 'gateway' | 'pool' | undefined;
}

/** Ended downstream sessions that are remembered: a call of theirs may still be on its way here. */
const REMEMBERED = 10_000;

/**
 * Upstream sessions of which each belongs to exactly one (downstream session, gateway) (SPEC P-4): opened by the first
 * call, shared by concurrent calls, ended with the downstream session. Each holds a lease of the pool all its life, so it
 * counts in every cap and is never ended to make room.
 *
 *   none -> opening -> bound -> retired -> gone          (retired: no new call; ends with its last call)
 */
export class BoundSessions {
  readonly counters = { hits: 0, reopened: 0, stateLost: 0 };
  private readonly sessions = new Map<string, Map<string, Slot>>(); // by session hash, then by gateway
  private readonly over = new Set<string>(); // the one that ended longest ago first
  private readonly now: () => number;

  constructor(private readonly options: BoundSessionsOptions) {
    this.now = options.now ?? (() => performance.now());
  }

  /**
   * Runs `work` on the bound session; `work` says by its error whether the session can go on (`discards`).
   *
   * @param work is told whether the session was opened for it, and for how many milliseconds nobody had used it
   */
  async use<R>(
    use: BoundUse,
    work: (session: UpstreamSession, fresh: boolean, idleMs: number) => Promise<R>,
    signal: CancelSignal,
    discards: (error: unknown) => boolean,
  ): Promise<R> {
    // Whatever it opened, nobody would ever end.
    if (this.over.has(use.sessionHash)) throw new CodedError('SESSION_NOT_FOUND', 'the session has ended');
    const slot = this.slotOf(use);
    const opens = !this.ready(slot) && slot.opening === undefined;
    // Whoever waited for the opening has a session as fresh as who caused it, though only that one pays the miss.
    const fresh = !this.ready(slot);
    const held = this.ready(slot) ?? (await abortable(this.open(slot, use), signal));
    held.inFlight += 1;
    if (!opens) this.counters.hits += 1;
    try {
      const idleMs = fresh || held.inFlight > 1 ? 0 : held.suspect ? Infinity : this.now() - held.lastUsed;
      if (idleMs > 0) held.suspect = false;
      return await work(held.lease.resource, fresh, idleMs);
    } catch (error) {
      if (discards(error)) this.retire(slot, held, 'discard');
      else if (gotNoAnswer(signal)) held.suspect = true;
      throw error;
    } finally {
      this.leave(held);
    }
  }

  /** The downstream session has ended: its upstream sessions end when their calls have. */
  end(sessionHash: string): void {
    const slots = this.sessions.get(sessionHash);
    this.sessions.delete(sessionHash);
    for (const slot of slots?.values() ?? []) this.retireSlot(slot, 'session');
    this.over.add(sessionHash);
    const [oldest] = this.over;
    if (this.over.size > REMEMBERED && oldest !== undefined) this.over.delete(oldest);
  }

  /** The connection of a gateway has changed (P-14): sessions that are idle end now, the others with their last call. */
  evictGateway(gatewayId: string): void {
    for (const slots of this.sessions.values()) {
      const slot = slots.get(gatewayId);
      if (slot) this.renew(slots, slot);
    }
  }

  /** Every upstream session, as for an evicted gateway; the downstream sessions go on. */
  renewAll(): void {
    for (const slots of this.sessions.values()) for (const slot of [...slots.values()]) this.renew(slots, slot);
  }

  /** The pool closes, which ends the sessions in its own way: they go back to it when their calls have ended. */
  releaseAll(): void {
    for (const slots of this.sessions.values()) for (const slot of slots.values()) this.retireSlot(slot, 'pool');
    this.sessions.clear();
  }

  /** A session opened for this key is lost: its owner need not wait for the next call to hear of it. */
  lost(key: PoolKey): void {
    const slot = this.sessions.get(key.parts[2])?.get(key.gatewayId);
    if (slot) this.ready(slot);
  }

  /** Sessions that are known to be lost give their places back, whether anybody asks for them again or not. */
  reap(): void {
    for (const slots of this.sessions.values()) for (const slot of slots.values()) this.ready(slot);
  }

  get size(): number {
    let bound = 0;
    for (const slots of this.sessions.values()) for (const slot of slots.values()) if (slot.current) bound += 1;
    return bound;
  }

  private slotOf({ key, sessionHash, owner }: BoundUse): Slot {
    let slots = this.sessions.get(sessionHash);
    if (!slots) this.sessions.set(sessionHash, (slots = new Map<string, Slot>()));
    let slot = slots.get(key.gatewayId);
    // Another URL or user for the same pair: the old one is of no use to anybody.
    if (slot && slot.key.id !== key.id) {
      const old = slot.key;
      slot = this.renew(slots, slot, key);
      this.options.abandon(old);
    }
    if (slot) [slot.key, slot.owner] = [key, owner ?? slot.owner];
    if (!slot) slots.set(key.gatewayId, (slot = { key, owner, opening: undefined, opened: false, ended: undefined }));
    return slot;
  }

  private ready(slot: Slot): Held | undefined {
    const held = slot.current;
    if (held && held.lease.resource.lost !== undefined) this.retire(slot, held, 'discard');
    return slot.current;
  }

  private open(slot: Slot, use: BoundUse): Promise<Held> {
    slot.opening ??= this.openAnew(slot, use).finally(() => {
      slot.opening = undefined;
      if (slot.ended === 'session') this.options.abandon(slot.key);
    });
    return slot.opening;
  }

  /** Owned by the slot and not by the call that came first: that one may give up without harm to the others. */
  private async openAnew(slot: Slot, { owner, key }: BoundUse): Promise<Held> {
    const lease = await this.options.acquire(slot.key);
    const held: Held = { lease, lastUsed: this.now(), inFlight: 1, suspect: false, verdict: undefined };
    const again = slot.opened;
    slot.opened = true;
    if (owner) await settledWithin(owner.opened(lease.resource, again), RESTORE_TIMEOUT_MS);
    if (again) {
      this.counters.reopened += 1;
      if (lease.resource.sessionId !== undefined || lease.resource.transport === 'sse') {
        this.counters.stateLost += 1;
        owner?.stateLost(key.target.gatewayName);
      }
    }
    if (slot.ended === 'gateway') {
      lease.release('done');
      owner?.ended?.(lease.resource);
      throw new TurnedAway(); // opened with what holds no more
    }
    slot.current = held;
    // One hold is ours until those who waited for this have had their turn: nothing may end it under them before.
    setImmediate(() => this.leave(held));
    if (slot.ended) this.retire(slot, held, slot.ended === 'pool' ? 'reuse' : 'done');
    return held;
  }

  /** Ends what is there or being opened; the next call opens anew, and knows that it is not the first to do so. */
  private renew(slots: Map<string, Slot>, slot: Slot, key = slot.key): Slot {
    const next: Slot = { key, owner: slot.owner, opening: undefined, opened: slot.opened, ended: undefined };
    slots.set(key.gatewayId, next);
    this.retireSlot(slot, 'gateway');
    return next;
  }

  private retireSlot(slot: Slot, why: 'session' | 'gateway' | 'pool'): void {
    slot.ended = why;
    if (slot.current) this.retire(slot, slot.current, why === 'pool' ? 'reuse' : 'done');
    if (why !== 'gateway') slot.owner?.ended?.();
    // What an opening under way brings is dealt with when it is there.
    if (why === 'session' && !slot.opening) this.options.abandon(slot.key);
  }

  private retire(slot: Slot, held: Held, verdict: Retirement): void {
    if (slot.current === held) delete slot.current;
    if (held.verdict) return;
    held.verdict = verdict;
    if (held.inFlight === 0) held.lease.release(verdict);
    if (slot.ended !== 'session' && slot.ended !== 'pool') slot.owner?.ended?.(held.lease.resource);
  }

  private leave(held: Held): void {
    held.inFlight -= 1;
    held.lastUsed = this.now();
    if (held.verdict && held.inFlight === 0) held.lease.release(held.verdict);
  }
}
