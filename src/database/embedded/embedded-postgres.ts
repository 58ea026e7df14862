import { oneLine } from '../one-line.js';
import { corrupt, makeDataDirectory, prepareCluster, unusable } from './data-directory.js';
import { DirectoryLock } from './directory-lock.js';
import { type PgliteStream } from './pglite-stream.js';
import { PgliteWorker } from './pglite-worker.js';

/** The embedded database: a locked directory and a worker thread with PGlite in it. */
export class EmbeddedPostgres {
  private closing?: Promise<void>;

  private constructor(
    private readonly worker: PgliteWorker,
    private readonly lock: DirectoryLock,
  ) {}

  /**
   * @param onWait told when the start has to wait for a lock whose holder cannot be seen from here
   * @throws StartupError, one line: directory in use, not writable, not a cluster, corrupt
   */
  static async open(dataDir: string, onWait?: (line: string) => void): Promise<EmbeddedPostgres> {
    await makeDataDirectory(dataDir);
    const lost = new AbortController();
    const lock = await DirectoryLock.acquire(dataDir, { onLost: (reason) => lost.abort(reason), onWait });
    try {
      return new EmbeddedPostgres(await startWorker(dataDir, lost.signal), lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** For pg: a new connection to the one session. */
  openStream(): PgliteStream {
    return this.worker.openStream();
  }

  /** Shuts the database down, ends the thread and gives the directory free; within 10 s. */
  close(): Promise<void> {
    this.closing ??= this.worker.close().finally(() => this.lock.release());
    return this.closing;
  }
}

/** @param lost aborts when another process has the directory: two at work in it would destroy it */
async function startWorker(dataDir: string, lost: AbortSignal): Promise<PgliteWorker> {
  const { clusterDir, started } = await prepareCluster(dataDir);
  let worker: PgliteWorker;
  try {
    worker = await PgliteWorker.start(clusterDir);
  } catch (error) {
    throw corrupt(clusterDir, oneLine(error), error);
  }
  lost.addEventListener('abort', () => worker.kill(lost.reason as Error), { once: true });
  try {
    lost.throwIfAborted();
    await started();
    return worker;
  } catch (error) {
    await worker.close();
    throw unusable(dataDir, error);
  }
}
