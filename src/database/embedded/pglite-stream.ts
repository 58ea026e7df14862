import { Duplex } from 'node:stream';
import { FrontendFramer } from './frontend-framer.js';

/** The far end of a stream: the worker thread. */
export interface DatabaseEnd {
  send(batch: Uint8Array<ArrayBuffer>): void;
  /** The connection is gone; called once. */
  end(): void;
}

/**
 * An in-memory "socket" between the plain `pg` driver and the worker with PGlite: no port, no password, and pg's own
 * type parsers, so that rows look exactly as from a server. It takes a pool of size 1, because PGlite has one session.
 *
 * A dead worker destroys its streams with the reason, which is what pg turns into the error of the running query.
 */
export class PgliteStream extends Duplex {
  private readonly framer = new FrontendFramer();

  /** @param refused why the database cannot be reached any more; the connection then fails as a refused one would */
  constructor(
    private readonly database: DatabaseEnd,
    private readonly refused?: Error,
  ) {
    super({ allowHalfOpen: false });
  }

  /** Part of what pg asks of a socket. */
  connect(): this {
    process.nextTick(() => {
      if (this.refused) this.destroy(this.refused);
      else this.emit('connect');
    });
    return this;
  }

  // pg calls these on every socket; there is nothing to set on one in memory.
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  setTimeout(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  override _read(): void {
    // Answers are pushed as they come: pg collects the rows of a query anyway.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.forward(chunk);
    done();
  }

  /** pg corks the messages of one statement: they come here together. */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.forward(Buffer.concat(chunks.map(({ chunk }) => chunk)));
    done();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.database.end();
    done(error);
  }

  private forward(chunk: Buffer): void {
    const { batch, terminated } = this.framer.take(chunk);
    if (batch) this.database.send(batch);
    if (terminated) this.push(null);
  }
}
