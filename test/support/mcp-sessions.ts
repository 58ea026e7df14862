import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CountingEventStore } from './mcp-event-store.js';
import { ProductSession } from './mcp-session.js';
import { type World } from './mcp-world.js';

export interface OpenSession {
  readonly product: ProductSession;
  /** One of the two, by the transport that the session was opened over. */
  readonly http?: StreamableHTTPServerTransport;
  readonly sse?: { readonly transport: SSEServerTransport; readonly stream: ServerResponse };
}

/** The sessions of both transports, each with its own SDK server and SDK transport. */
export class SessionTable {
  readonly open = new Map<string, OpenSession>();
  /** No longer known to the server, though their streams may still be open. */
  private readonly forgotten = new Set<OpenSession>();

  constructor(private readonly world: World) {}

  /** Takes the `initialize` POST of a new session. */
  async startHttp(req: IncomingMessage, res: ServerResponse, body: unknown): Promise<void> {
    const { jsonResponse = false, eventStore, retryMs } = this.world.options;
    const product = new ProductSession(this.world);
    const http: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse: jsonResponse,
      ...(eventStore ? { eventStore: new CountingEventStore() } : {}),
      ...(retryMs === undefined ? {} : { retryInterval: retryMs }),
      onsessioninitialized: (id) => this.add(id, { product, http }),
    });
    http.onclose = () => this.remove(http.sessionId);
    await product.mcp.connect(http);
    await http.handleRequest(req, res, body);
  }

  /** Stateless: a server for this one POST. */
  async once(req: IncomingMessage, res: ServerResponse, body: unknown): Promise<void> {
    const { jsonResponse = false } = this.world.options;
    const product = new ProductSession(this.world);
    const http = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: jsonResponse });
    res.once('close', () => void product.mcp.close());
    await product.mcp.connect(http);
    await http.handleRequest(req, res, body);
  }

  /** Takes the GET of a new SSE session. */
  async startSse(stream: ServerResponse): Promise<void> {
    const product = new ProductSession(this.world);
    const transport = new SSEServerTransport('/messages', stream);
    transport.onclose = () => this.remove(transport.sessionId);
    product.stream = stream;
    this.add(transport.sessionId, { product, sse: { transport, stream } });
    await product.mcp.connect(transport);
  }

  /** The server forgets them; their next use is answered as an unknown session. */
  forgetAll(): void {
    for (const session of this.open.values()) this.forgotten.add(session);
    this.open.clear();
    this.count();
  }

  async closeAll(): Promise<void> {
    this.forgetAll();
    const sessions = [...this.forgotten];
    this.forgotten.clear();
    await Promise.all(sessions.map(({ product }) => product.mcp.close()));
  }

  private add(id: string, session: OpenSession): void {
    this.open.set(id, session);
    this.count();
  }

  private remove(id: string | undefined): void {
    if (id !== undefined && this.open.delete(id)) this.count();
  }

  private count(): void {
    this.world.board.change((stats) => {
      stats.openSessions = this.open.size;
      stats.maxOpenSessions = Math.max(stats.maxOpenSessions, this.open.size);
    });
  }
}
