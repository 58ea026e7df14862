const HEADER_BYTES = 4;
const TERMINATE = 0x58; // 'X'
/** Query, Sync, Flush, CopyDone, CopyFail, password: the messages after which the client waits for an answer. */
const ASKS_FOR_ANSWER = new Set([...'QSHcfp'].map((letter) => letter.charCodeAt(0)));

export interface Framed {
  /** Whole messages, the last of which asks for an answer; in a buffer of their own that may be transferred. */
  readonly batch?: Uint8Array<ArrayBuffer>;
  /** The client has said good-bye. */
  readonly terminated: boolean;
}

/**
 * Cuts what a Postgres client writes into batches that can be executed in one go. Nothing is handed on before a message
 * that asks for an answer: a connection that breaks off before that leaves no half-sent statement in the one session.
 */
export class FrontendFramer {
  private buffered: Buffer = Buffer.alloc(0);
  /** Where the next message begins in `buffered`; what stands before it is complete. */
  private scanned = 0;
  private started = false;

  take(chunk: Buffer): Framed {
    this.buffered = this.buffered.length === 0 ? chunk : Buffer.concat([this.buffered, chunk]);
    let complete = 0;
    for (;;) {
      const typeBytes = this.started ? 1 : 0; // the start-up packet has no type byte
      const size = this.messageSize(typeBytes);
      if (size === undefined) return { ...this.cut(complete), terminated: false };
      const type = this.started ? this.buffered[this.scanned] : undefined;
      if (type === TERMINATE) return { ...this.cut(complete), terminated: true };
      this.scanned += size;
      if (type === undefined || ASKS_FOR_ANSWER.has(type)) complete = this.scanned;
      this.started = true;
    }
  }

  /** Bytes of the message at `scanned`, or `undefined` while it is not there as a whole. */
  private messageSize(typeBytes: number): number | undefined {
    const left = this.buffered.length - this.scanned;
    if (left < typeBytes + HEADER_BYTES) return undefined;
    const size = typeBytes + this.buffered.readInt32BE(this.scanned + typeBytes);
    return left < size ? undefined : size;
  }

  private cut(complete: number): { batch?: Uint8Array<ArrayBuffer> } {
    if (complete === 0) return {};
    const batch = new Uint8Array(complete);
    batch.set(this.buffered.subarray(0, complete));
    this.buffered = this.buffered.subarray(complete);
    this.scanned -= complete;
    return { batch };
  }
}
