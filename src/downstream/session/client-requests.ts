import { type CancelSignal, reasonOf } from '../../common/cancellation.js';
import { JsonError, sliceOf } from '../../common/json-scan.js';
import { memberSpan, splice } from '../../common/json-splice.js';
import { notificationFrame, requestFrame, type RpcMessage } from '../../common/jsonrpc.js';
import { type Reply } from '../../execution/index.js';

interface Pending {
  /** The progress token that the server chose, as bytes. */
  readonly token: Buffer | undefined;
  /** Tells the server that asked, and no other. */
  readonly onProgress: ((params: Buffer) => void) | undefined;
  settle(reply: Reply): void;
  fail(error: Error): void;
}

/**
 * What the client of one session has been asked and has not answered (SPEC D-8). Ids are ours and count up, so questions
 * of two servers never meet; a progress token of a server is replaced by that id, too.
 */
export class ClientRequests {
  private readonly pending = new Map<string, Pending>();
  private last = 0;
  private closed: Error | undefined;

  /**
   * @param write puts a message on a stream of the client
   * @param signal withdraws the question
   * @throws the signal's reason; the reason of `close`
   */
  ask(
    write: (frame: Buffer) => void,
    method: string,
    params: Buffer | undefined,
    signal: CancelSignal,
    onProgress?: (params: Buffer) => void,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(this.closed);
      if (signal.aborted) return reject(reasonOf(signal));
      const id = (this.last += 1);
      const key = String(id);
      const over = (): void => {
        this.pending.delete(key);
        signal.removeEventListener('abort', withdraw);
      };
      const withdraw = (): void => {
        over();
        write(notificationFrame('notifications/cancelled', Buffer.from(JSON.stringify({ requestId: id }))));
        reject(reasonOf(signal));
      };
      const { token, params: own } = withOwnToken(params, id);
      this.pending.set(key, {
        token,
        onProgress,
        settle: (reply) => (over(), resolve(reply)),
        fail: (error) => (over(), reject(error)),
      });
      signal.addEventListener('abort', withdraw, { once: true });
      write(requestFrame(id, method, own));
    });
  }

  /** A response of the client. One that nobody waits for is ignored: the question may have been withdrawn. */
  answered({ id, result, error }: RpcMessage): void {
    const pending = id && this.pending.get(id.toString('latin1'));
    if (!pending) return;
    if (error) pending.settle({ kind: 'error', raw: error });
    else if (result) pending.settle({ kind: 'result', raw: result });
  }

  /** Progress of the client on a question: to the server that asked, with the token that it chose. */
  progress(params: Buffer | undefined): void {
    try {
      const span = params && memberSpan(params, 'progressToken');
      if (!params || !span) return;
      const { token, onProgress } = this.pending.get(sliceOf(params, span).toString('latin1')) ?? {};
      if (token) onProgress?.(splice(params, [{ span, bytes: token }]));
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
    }
  }

  /** The session ends: nobody will answer any more. */
  close(reason: Error): void {
    this.closed = reason;
    for (const pending of [...this.pending.values()]) pending.fail(reason);
  }

  get size(): number {
    return this.pending.size;
  }
}

function withOwnToken(
  params: Buffer | undefined,
  id: number,
): { token: Buffer | undefined; params: Buffer | undefined } {
  try {
    const span = params && memberSpan(params, '_meta', 'progressToken');
    if (!params || !span) return { token: undefined, params };
    const own = splice(params, [{ span, bytes: Buffer.from(String(id)) }]);
    return { token: Buffer.from(sliceOf(params, span)), params: own };
  } catch (error) {
    if (error instanceof JsonError) return { token: undefined, params };
    throw error;
  }
}
