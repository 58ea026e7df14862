import { Worker } from 'node:worker_threads';
import { settledWithin, withDeadline } from '../../common/deadline.js';
import { PgliteStream } from './pglite-stream.js';
import { type FromWorker, type ToWorker, type WorkerStart } from './worker-messages.js';

/** Initialising a new cluster takes 2 to 5 s on a laptop; recovery after a crash less. */
const START_TIMEOUT_MS = 60_000;
const CLOSE_TIMEOUT_MS = 10_000;

interface Waiter {
  resolve(): void;
  reject(reason: Error): void;
}

/**
 * The thread that runs PGlite, seen from the main thread: hands out streams for pg, and when the thread ends, for
 * whatever reason, destroys them all with that reason. Nothing ever waits for a dead thread.
 *
 *   starting -> running -> closing -> dead        any -> dead
 */
export class PgliteWorker {
  private readonly streams = new Map<number, PgliteStream>();
  private connections = 0;
  private death?: Error;
  private closing?: Promise<void>;
  /** Who waits for the answer to the start or to `close`. */
  private waiter?: Waiter;

  private constructor(private readonly worker: Worker) {}

  /**
   * Starts the database in `clusterDir`; a new cluster is made where there is none.
   *
   * @throws Error whose message is the engine's complaint in one line, or that it took longer than 60 s
   */
  static async start(clusterDir: string): Promise<PgliteWorker> {
    const workerData: WorkerStart = { clusterDir };
    const thread = new Worker(new URL('./pglite.worker.mjs', import.meta.url), { workerData, name: 'pglite' });
    const started = new PgliteWorker(thread);
    started.listen();
    const late = (): Error => new Error(`did not start within ${START_TIMEOUT_MS} ms`);
    await withDeadline(START_TIMEOUT_MS, undefined, late, (signal) => {
      signal.addEventListener('abort', () => started.kill(late()), { once: true });
      return started.answer();
    });
    return started;
  }

  /** A new connection to the one session; the connection before it is done with. */
  openStream(): PgliteStream {
    const connection = (this.connections += 1);
    const stream = new PgliteStream(
      {
        send: (bytes) => this.post({ type: 'bytes', connection, bytes }, [bytes.buffer]),
        end: () => {
          this.streams.delete(connection);
          this.post({ type: 'end', connection });
        },
      },
      this.death,
    );
    this.streams.set(connection, stream);
    return stream;
  }

  /** Ends the thread at once; every stream fails with `reason`. What was committed is in the write-ahead log. */
  kill(reason: Error): void {
    this.die(reason);
  }

  /** Shuts the database down in good order; after 10 s (a query that does not end) without it. Never rejects. */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    if (this.death === undefined) {
      const closed = this.answer();
      this.post({ type: 'close' });
      await settledWithin(closed, CLOSE_TIMEOUT_MS);
    }
    this.die(new Error('it was closed'));
    await this.worker.terminate();
  }

  private listen(): void {
    this.worker.on('message', (message: FromWorker) => this.onMessage(message));
    this.worker.on('error', (error) => this.die(new Error(`its thread failed: ${String(error)}`, { cause: error })));
    this.worker.on('exit', (code) => this.die(new Error(`its thread ended with code ${code}`)));
  }

  private onMessage(message: FromWorker): void {
    switch (message.type) {
      case 'bytes':
        this.streams.get(message.connection)?.push(Buffer.from(message.bytes.buffer));
        return;
      case 'ready':
      case 'closed':
        this.waiter?.resolve();
        return;
      case 'failed':
        this.die(new Error(message.reason));
    }
  }

  private answer(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.waiter = { resolve, reject };
      if (this.death) reject(this.death);
    });
  }

  private post(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    if (this.death === undefined) this.worker.postMessage(message, transfer);
  }

  private die(reason: Error): void {
    if (this.death) return;
    this.death = new Error(`the embedded database is not running: ${reason.message}`, { cause: reason });
    this.waiter?.reject(reason);
    for (const stream of this.streams.values()) stream.destroy(this.death);
    void this.worker.terminate();
  }
}
