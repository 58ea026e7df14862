import { type CancelSignal } from '../../common/cancellation.js';
import { type Dispatcher } from 'undici';
import { type RpcMessage } from '../../common/jsonrpc.js';
import { type SocketUse } from '../dispatchers.js';
import { type Execution, type UpstreamError, type UpstreamErrorCode } from '../upstream.errors.js';
import { type CredentialPurpose, type HeaderMap } from '../upstream.port.js';

/** What calls and the standing stream need of their session. */
export interface Wire {
  readonly gateway: string;
  readonly url: string;
  readonly sessionId: string | undefined;
  /** What one answer or event may hold. */
  readonly maxResponseBytes: number;
  dispatcher(use: SocketUse): Dispatcher;
  options(method: 'POST' | 'GET' | 'DELETE', headers: HeaderMap, body: Buffer | null): Dispatcher.DispatchOptions;
  /** Protocol headers, the given ones, and the credentials of this moment. */
  headers(
    purpose: CredentialPurpose,
    extra: HeaderMap,
    signal?: CancelSignal,
  ): Record<string, string> | Promise<Record<string, string>>;
  /** A request or notification of the server; `origin` is our request on whose stream it came. */
  deliver(message: RpcMessage, origin: number | undefined): void;
  /** A response on a stream of another request. */
  answered(message: RpcMessage): void;
  error(code: UpstreamErrorCode, what: string, execution: Execution, cause?: unknown): UpstreamError;
}
