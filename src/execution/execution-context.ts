import { type CancelSignal } from '../common/cancellation.js';
import { type CatalogueView } from '../catalogue/index.js';
import { type Caller } from '../common/principal.js';
import { type UpstreamReply } from '../session-pool/index.js';
import { type ClientSession } from './client-session.js';
import { type ClientSink } from './client-sink.js';

/** Answer of a method: the bytes of `result`, or of the `error` that the server itself gave. */
export type Reply = UpstreamReply;

export const EMPTY_RESULT: Reply = { kind: 'result', raw: Buffer.from('{}') };

export interface ExecutionContext {
  /** Who calls, for sessions that are shared by identity. */
  readonly caller: Caller;
  /** What the endpoint shows, and under which names. */
  readonly view: CatalogueView;
  /** The downstream session that the request belongs to (SPEC P-4). */
  readonly session?: ClientSession;
  /** The stream of this very request; without one nobody hears what the server says meanwhile. */
  readonly sink?: ClientSink;
  /** W3C trace context of this request; goes upstream with it and with nothing else (P-16). */
  readonly traceparent?: string;
  /** Aborts when nobody wants the answer any more. */
  readonly signal?: CancelSignal;
}
