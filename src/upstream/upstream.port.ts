import { type UpstreamError } from './upstream.errors.js';

/** Spelling of SPEC P-1; these words are part of pool keys and of records. */
export type Transport = 'streamablehttp' | 'sse';

/** One JSON value, as the bytes that came (SPEC D-7). */
export type RawJson = Buffer;

export type HeaderMap = Readonly<Record<string, string>>;

/** What a request is for: a credential may differ (SPEC G-7 never uses a user's). */
export type CredentialPurpose = 'call' | 'housekeeping';

/**
 * Adds credentials at the last moment, to each request anew, so that a rotated one is used at once (P-16). What it throws
 * as a `CodedError` reaches the caller as it is; anything else becomes UPSTREAM_UNAUTHORIZED. The session stays.
 */
export interface CredentialSource {
  headers(purpose: CredentialPurpose, signal?: AbortSignal): HeaderMap | Promise<HeaderMap>;
}

/** TLS material of one gateway, PEM (SPEC S-4). */
export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
}

/** Where and how to open a session; handed over by value. */
export interface Target {
  readonly gatewayId: string;
  /** For messages and metrics. */
  readonly gatewayName: string;
  readonly url: string;
  readonly transport: Transport;
  readonly credentials: CredentialSource;
  readonly tls?: TlsMaterial;
}

export interface ServerInfo {
  readonly protocolVersion: string;
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly serverInfo: Readonly<Record<string, unknown>>;
  readonly instructions?: string;
}

/** The server's own answer; `raw` are the bytes of `result` or of `error`. */
export interface UpstreamReply {
  readonly kind: 'result' | 'error';
  readonly raw: RawJson;
}

/** A notification or a request of the server. */
export interface UpstreamMessage {
  readonly method: string;
  readonly params?: RawJson;
  /** Set on a request: answer it with `respond`. The bytes of its id. */
  readonly id?: RawJson;
  /** Our request on whose own stream it came; undefined on the standing stream and over SSE. */
  readonly origin?: number;
}

export type StandingStreamState = 'opening' | 'open' | 'waiting' | 'unsupported' | 'refused' | 'closed';

export interface RequestOptions {
  /** Aborting cancels: `notifications/cancelled` is sent and the request's stream is closed (SPEC D-8). */
  readonly signal?: AbortSignal;
  /** For this request alone: a trace context (SPEC P-16). */
  readonly headers?: HeaderMap;
  /** Called with the id that the request got, before it is sent: for progress tokens and for `origin`. */
  readonly onId?: (id: number) => void;
  /** The server has ended the stream of the answer and will go on when we come back, in so many milliseconds. */
  readonly onPause?: (retryMs: number) => void;
}

/**
 * How a session ends (SPEC P-11): `terminate` tells the server (DELETE), `detach` leaves the session on the server.
 */
export type Ending = 'terminate' | 'detach';

/** What became of the session at the server; `orphaned`: it could not be told, or does not let clients end sessions. */
export type EndResult = 'terminated' | 'detached' | 'orphaned';

/**
 * One initialized session with an MCP server, whatever the transport. Concurrent requests are multiplexed.
 *
 *   open -> closed          (by close(), or by itself when the server has gone: `lost` says why)
 *
 * Every failure of the way is an `UpstreamError`; a JSON-RPC error of the server is a reply, not a failure.
 */
export interface UpstreamSession {
  /** `Mcp-Session-Id` of a streamable HTTP server that keeps sessions. */
  readonly sessionId?: string;
  readonly transport: Transport;
  readonly server: ServerInfo;
  /** The standing stream of a streamable HTTP session, where one was asked for; `unsupported`: the server has none. */
  readonly standingStream?: StandingStreamState;
  /** Resolves when the server has answered the first attempt to open it. */
  readonly standingStreamReady?: Promise<void>;
  /** Set once the session is known to be of no more use. */
  readonly lost?: UpstreamError;

  request(method: string, params: RawJson | undefined, options?: RequestOptions): Promise<UpstreamReply>;
  notify(method: string, params?: RawJson, signal?: AbortSignal): Promise<void>;
  /** Answers a request of the server; `id` as it came in the message. */
  respond(id: RawJson, reply: UpstreamReply): Promise<void>;
  /** At most one listener: the session belongs to one holder. Without one, requests of the server are refused. */
  onMessage(listener: (message: UpstreamMessage) => void): void;
  /** Remembered: a second call returns the same promise. Never rejects; bounded by the clean-up time-out. */
  close(ending: Ending): Promise<EndResult>;
}

/** Told of what happens on a session, beside its listener. Must not throw and not wait. */
export interface SessionObserver {
  /** A notification of the server. */
  notification?(method: string): void;
  /** The standing stream is open; after a break what the server said meanwhile may be lost. */
  listening?(): void;
  /** The session is of no more use; at most once. */
  lost?(): void;
}

export interface ConnectOptions {
  /**
   * Client capabilities to declare (SPEC P-4); pooled sessions declare none. Where they are given somebody will listen,
   * so what the server says before that waits for him.
   */
  readonly clientCapabilities?: Readonly<Record<string, unknown>>;
  readonly observer?: SessionObserver;
  /** Open the standing GET stream after `initialized` (bound and watch sessions; implied over SSE). */
  readonly listen?: boolean;
  readonly signal?: AbortSignal;
}

/** Opens sessions over one transport. */
export interface Connector {
  connect(target: Target, options?: ConnectOptions): Promise<UpstreamSession>;
}
