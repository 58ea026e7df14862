import { type CancelSignal } from '../common/cancellation.js';
import { type UpstreamReply } from '../session-pool/index.js';

/**
 * Where what a server says goes (SPEC D-8): the stream of one call, or the standing stream of a session. Belongs to
 * exactly one client.
 */
export interface ClientSink {
  /** @param frame one whole JSON-RPC notification */
  notify(frame: Buffer): void;
  /** The server lets us go and will have more to say later: the client may be let go as well. */
  pause?(retryMs: number): void;
  /**
   * Asks the client. The id that the client sees is the sink's own.
   *
   * @param signal aborting withdraws the question (`notifications/cancelled`)
   * @param onProgress the client's progress on it (`params`, with the token that the server chose)
   * @returns the client's answer, as it came
   * @throws CodedError when the session ends, or `signal`'s reason
   */
  ask(
    method: string,
    params: Buffer | undefined,
    signal: CancelSignal,
    onProgress?: (params: Buffer) => void,
  ): Promise<UpstreamReply>;
}

/** The standing stream of a session. */
export interface SessionSink extends ClientSink {
  /** Whether the client has it open now; else what is sent waits for the next one, within bounds. */
  readonly listening: boolean;
}
