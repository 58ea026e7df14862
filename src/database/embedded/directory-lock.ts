import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { StartupError } from '../../common/startup-error.js';
import { unusable } from './data-directory.js';
import { dropLockFile, LockedError, takeLockFile, touchLockFile } from './lock-file.js';
import { describeSelf } from './lock-holder.js';

const LOCK_FILE = 'database.lock';

export interface DirectoryLockOptions {
  /** Called once when another process has taken the lock over (this one was frozen): stop writing at once. */
  readonly onLost: (reason: Error) => void;
  /** Told before a wait for a holder that cannot be seen from here. */
  readonly onWait?: (line: string) => void;
  /** How often the holder shows that it lives; the default is 5000 ms. */
  readonly touchEveryMs?: number;
  /** When an unseen holder counts as dead; the default is 30000 ms. At least twice `touchEveryMs`. */
  readonly staleAfterMs?: number;
}

/**
 * At most one process works in a data directory: PGlite has no lock of its own, and two on one directory silently lose
 * each other's rows.
 *
 * A dead holder on this host is taken over at once; one on another host (a container that was replaced) when its file
 * has not been touched for 30 s. A holder that finds its lock gone says so, so that it stops.
 */
export class DirectoryLock {
  private timer?: NodeJS.Timeout;
  private releasing?: Promise<void>;

  private constructor(
    private readonly path: string,
    private readonly mine: string,
    private readonly touchEveryMs: number,
    private readonly onLost: (reason: Error) => void,
  ) {}

  /** @throws StartupError with the holder's process and host when the directory is in use, or cannot be written */
  static async acquire(dataDir: string, options: DirectoryLockOptions): Promise<DirectoryLock> {
    const { touchEveryMs = 5_000, staleAfterMs = 30_000, onLost, onWait } = options;
    const path = join(dataDir, LOCK_FILE);
    const mine = JSON.stringify(await describeSelf(randomUUID()));
    try {
      await takeLockFile(path, mine, { staleAfterMs, onWait });
    } catch (error) {
      throw error instanceof LockedError ? inUse(dataDir, error) : unusable(dataDir, error);
    }
    const lock = new DirectoryLock(path, mine, touchEveryMs, onLost);
    lock.arm();
    return lock;
  }

  /** Gives the directory free, unless the lock is another's by now. */
  release(): Promise<void> {
    this.releasing ??= this.drop();
    return this.releasing;
  }

  private async drop(): Promise<void> {
    clearTimeout(this.timer);
    await dropLockFile(this.path, this.mine);
  }

  private arm(): void {
    // It must not keep a process alive that has nothing else to do.
    this.timer = setTimeout(() => void this.touch(), this.touchEveryMs).unref();
  }

  private async touch(): Promise<void> {
    // A file system that fails for a moment is not a lost lock: the next touch tries again.
    const ours = await touchLockFile(this.path, this.mine).catch(() => true);
    if (this.releasing) return;
    if (ours) this.arm();
    else this.onLost(new Error(`the lock ${this.path} was taken away`));
  }
}

function inUse(dataDir: string, { path, holder }: LockedError): StartupError {
  const who = holder ? `process ${holder.pid} on host ${holder.host}` : `whoever wrote ${path}`;
  return new StartupError(
    `DATA_DIR ${dataDir} is in use by ${who}; stop that one, choose another DATA_DIR, or let both share a DATABASE_URL`,
  );
}
