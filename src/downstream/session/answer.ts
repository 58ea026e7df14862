import { type CodedError } from '../../common/errors.js';
import { type Reply } from '../../execution/index.js';

/**
 * The way back to one request of a client: what belongs to it goes there, and exactly one end (SPEC D-8, D-9). Each
 * transport has its own.
 */
export interface Answer {
  /** A notification or a question of the server while the request runs. @param frame one whole message */
  interim(frame: Buffer): void;
  /** There will be more, but not soon; the client may come back for it (MCP 2025-11-25, Transports: polling). */
  pause?(retryMs: number): void;
  reply(reply: Reply): void;
  /** Failed after it was accepted. */
  fail(error: CodedError): void;
  /** The client has cancelled it: there is no answer (MCP, Utilities, "Cancellation"). */
  cancelled(): void;
}
