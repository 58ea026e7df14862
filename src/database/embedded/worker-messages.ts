/** What the main thread and the database's worker thread say to each other. Buffers are transferred, not copied. */

export interface WorkerStart {
  /** Directory of the cluster itself (`DATA_DIR/pg`). */
  readonly clusterDir: string;
}

export type ToWorker =
  /** Whole protocol messages of one connection; a number that is higher than the last one is a new connection. */
  | { readonly type: 'bytes'; readonly connection: number; readonly bytes: Uint8Array<ArrayBuffer> }
  /** The connection is gone: whatever it left behind has to be undone. */
  | { readonly type: 'end'; readonly connection: number }
  /** Shut the database down in good order; answered with `closed`. */
  | { readonly type: 'close' };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'bytes'; readonly connection: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: 'closed' }
  /** The database cannot go on (or could not start); `reason` is one line. */
  | { readonly type: 'failed'; readonly reason: string };
