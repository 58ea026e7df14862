import { randomUUID } from 'node:crypto';
import { type Redis } from 'ioredis';
import { abortable, settledWithin, withDeadline } from '../common/deadline.js';
import { type Lock, Locks } from './locks.js';
import { RELEASE_LOCK } from './scripts/release-lock.js';
import { RENEW_LOCK } from './scripts/renew-lock.js';

export interface RedisLocksOptions {
  readonly keyPrefix: string;
  /** Pause between two looks at a lock that somebody else has. */
  readonly pollMs?: number;
}

const POLL_MS = 100;
const RELEASE_TIMEOUT_MS = 1_000;
/** A Redis that is connected and silent is away, too. What it took late ends by its TTL. */
const ACQUIRE_TIMEOUT_MS = 1_000;

/** Locks that hold over all replicas. Renewed every third of their TTL; one that cannot be renewed in time is lost. */
export class RedisLocks extends Locks {
  constructor(
    private readonly client: Redis,
    private readonly options: RedisLocksOptions,
  ) {
    super();
  }

  async tryAcquire(name: string, ttlMs: number): Promise<Lock | undefined> {
    const key = `${this.options.keyPrefix}lock:${name}`;
    const token = randomUUID();
    const since = performance.now();
    const late = (): Error => new Error(`Redis did not answer in ${ACQUIRE_TIMEOUT_MS} ms`);
    const taken = await withDeadline(ACQUIRE_TIMEOUT_MS, undefined, late, (limit) =>
      abortable(this.client.set(key, token, 'PX', ttlMs, 'NX'), limit),
    );
    return taken === 'OK' ? new HeldLock(this.client, key, token, ttlMs, since) : undefined;
  }

  async acquire(name: string, ttlMs: number, signal: AbortSignal): Promise<Lock> {
    for (;;) {
      signal.throwIfAborted();
      const lock = await this.tryAcquire(name, ttlMs);
      if (lock && signal.aborted) await lock.release();
      else if (lock) return lock;
      await pause(this.options.pollMs ?? POLL_MS, signal);
    }
  }
}

class HeldLock implements Lock {
  private readonly lost = new AbortController();
  private timer: NodeJS.Timeout;
  private releasing: Promise<void> | undefined;

  constructor(
    private readonly client: Redis,
    private readonly key: string,
    private readonly token: string,
    private readonly ttlMs: number,
    /** Since when it is surely ours: before it was asked for. */
    private renewedAt: number,
  ) {
    this.timer = this.arm();
  }

  get signal(): AbortSignal {
    return this.lost.signal;
  }

  release(): Promise<void> {
    this.releasing ??= this.end();
    return this.releasing;
  }

  private arm(): NodeJS.Timeout {
    return setTimeout(() => void this.renew(), this.ttlMs / 3);
  }

  private async renew(): Promise<void> {
    const started = performance.now();
    const left = this.renewedAt + this.ttlMs - started;
    const outcome = await settledWithin(
      this.client.eval(RENEW_LOCK, 1, this.key, this.token, this.ttlMs),
      Math.max(0, left),
    );
    if (this.releasing) return;
    if (outcome === 1) this.renewedAt = started;
    // An answer that says no, or none until it has run out.
    if (outcome === 0 || performance.now() >= this.renewedAt + this.ttlMs) {
      this.lost.abort(new Error(`the lock ${this.key} is lost`));
    } else this.timer = this.arm();
  }

  private async end(): Promise<void> {
    clearTimeout(this.timer);
    await settledWithin(this.client.eval(RELEASE_LOCK, 1, this.key, this.token), RELEASE_TIMEOUT_MS);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await abortable(over, signal);
  } finally {
    clearTimeout(timer);
  }
}
