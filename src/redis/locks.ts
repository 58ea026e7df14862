/** A lock that is held. */
export interface Lock {
  /** Aborts when the lock is lost: whoever works under it must stop. */
  readonly signal: AbortSignal;
  /** Remembered; never rejects: what cannot be given back ends by its TTL. */
  release(): Promise<void>;
}

/**
 * Locks by name over all replicas, each with a token and a TTL (STYLE rule 13): only who holds one can renew or give it
 * back. Without Redis they hold in this process, which is then the only replica.
 */
export abstract class Locks {
  /** The lock, if nobody has it. @throws Error when that cannot be known now */
  abstract tryAcquire(name: string, ttlMs: number): Promise<Lock | undefined>;

  /**
   * Waits until the lock is free, and in memory for its turn.
   *
   * @throws the reason of `signal`; Error when that cannot be known now
   */
  abstract acquire(name: string, ttlMs: number, signal: AbortSignal): Promise<Lock>;
}

interface Waiter {
  give(): void;
}

/** First come, first served; nothing is ever lost, so no TTL is needed. */
export class MemoryLocks extends Locks {
  private readonly held = new Map<string, Waiter[]>();

  tryAcquire(name: string): Promise<Lock | undefined> {
    if (this.held.has(name)) return Promise.resolve(undefined);
    this.held.set(name, []);
    return Promise.resolve(this.lock(name));
  }

  async acquire(name: string, _ttlMs: number, signal: AbortSignal): Promise<Lock> {
    signal.throwIfAborted();
    const waiters = this.held.get(name);
    if (!waiters) {
      this.held.set(name, []);
      return this.lock(name);
    }
    return new Promise<Lock>((resolve, reject) => {
      const give = (): void => {
        signal.removeEventListener('abort', leave);
        resolve(this.lock(name));
      };
      const waiter: Waiter = { give };
      const leave = (): void => {
        const at = waiters.indexOf(waiter);
        if (at < 0) return; // it has the lock
        waiters.splice(at, 1);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', leave, { once: true });
      waiters.push(waiter);
    });
  }

  private lock(name: string): Lock {
    let released = false;
    return {
      signal: new AbortController().signal,
      release: () => {
        if (!released) {
          released = true;
          const next = this.held.get(name)?.shift();
          if (next) next.give();
          else this.held.delete(name);
        }
        return Promise.resolve();
      },
    };
  }
}
