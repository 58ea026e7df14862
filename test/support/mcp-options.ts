export type ListMethod = 'tools/list' | 'resources/list' | 'resources/templates/list' | 'prompts/list';

/** A page (from 1) that goes wrong. */
export interface ListFault {
  readonly method: ListMethod;
  readonly page: number;
  readonly fault: 'error' | 'repeat-cursor' | 'invalid-entry';
}

/** How the server misbehaves; every member may be set and unset while it runs. */
export interface Faults {
  /** Requests of this method (or all) are accepted, not executed and never answered. */
  stall?: 'all' | (string & {});
  initializeDelayMs?: number;
  /** Everything is answered with this status, or with a page. */
  answer?: number | 'html';
  /** Required value of the Authorization header; else 401. */
  authorization?: string;
  /** 405 to `GET /mcp`: a server without a standing stream. */
  refuseGet?: boolean;
  /** What an unknown session gets; 400 is what many servers do (PROTOCOL 3.3). */
  unknownSession?: 404 | 400;
  /** `GET /sse` opens an event stream that never names its endpoint. */
  muteEndpoint?: boolean;
  listFault?: ListFault;
  /** Asked before each request is dealt with, and waited for: a gate for what tools are not needed for. */
  before?: (method: string, params: Readonly<Record<string, unknown>>) => Promise<unknown> | undefined;
  /** The result of this tool is these very bytes, past the SDK (which would parse and rebuild them). */
  rawResult?: { readonly tool: string; readonly json: string };
}

export interface McpServerOptions {
  /** Name in `serverInfo`. */
  readonly name?: string;
  readonly instructions?: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** No sessions over streamable HTTP: no session id, a server for each POST. */
  readonly stateless?: boolean;
  /** JSON answers instead of event streams. */
  readonly jsonResponse?: boolean;
  /** Event ids, priming events and resumption; `retryMs` is what the server asks clients to wait. */
  readonly eventStore?: boolean;
  readonly retryMs?: number;
  /** Tools `tool_0001` … beside the named ones; `baseTools: false` leaves those out. */
  readonly tools?: number;
  readonly baseTools?: boolean;
  /** Entries on a page of every list; without it all on one. */
  readonly pageSize?: number;
  /** Which capabilities are declared; all by default. */
  readonly kinds?: readonly ('tools' | 'resources' | 'prompts')[];
  readonly listFault?: ListFault;
  /** PEM; see mcp-tls.ts. */
  readonly tls?: { readonly key: string; readonly cert: string };
}
