import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type ServerNotification } from '@modelcontextprotocol/sdk/types.js';
import { intercept, refuseMethod, refuseSession } from './mcp-faults.js';
import { HttpFront, type StreamKind } from './mcp-front.js';
import { type Incoming, readIncoming } from './mcp-incoming.js';
import { type Faults, type McpServerOptions } from './mcp-options.js';
import { type ProductSession } from './mcp-session.js';
import { SessionTable } from './mcp-sessions.js';
import { type McpStats } from './mcp-stats.js';
import { World } from './mcp-world.js';

export { type Faults, type ListFault, type McpServerOptions } from './mcp-options.js';
export { type McpStats } from './mcp-stats.js';

/** A real MCP server on 127.0.0.1; close it in `afterEach`. */
export async function startMcpServer(options: McpServerOptions = {}): Promise<McpTestServer> {
  const server = new McpTestServer(options);
  await server.start();
  return server;
}

/**
 * A real server made of the official SDK, streamable HTTP at `/mcp` and HTTP+SSE at `/sse` and `/messages` at the same
 * time, with plain `node:http` in front so that a test can make it stall, forget, refuse, cut and restart.
 * `faults` takes effect with the next request; `stats` is live and `waitFor` waits for it.
 */
export class McpTestServer {
  private readonly world: World;
  private readonly table: SessionTable;
  private readonly front: HttpFront;

  constructor(options: McpServerOptions) {
    this.world = new World(options);
    this.table = new SessionTable(this.world);
    this.front = new HttpFront(this.world, (req, res) => this.handle(req, res));
  }

  get port(): number {
    return this.front.port;
  }

  get origin(): string {
    return `${this.world.options.tls ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  get mcpUrl(): string {
    return `${this.origin}/mcp`;
  }

  get sseUrl(): string {
    return `${this.origin}/sse`;
  }

  get faults(): Faults {
    return this.world.faults;
  }

  get stats(): Readonly<McpStats> {
    return this.world.board.stats;
  }

  /** Waits for the counters; rejects with them after `timeoutMs`. */
  waitFor(wanted: (stats: McpStats) => boolean, timeoutMs = 5_000): Promise<void> {
    return this.world.board.waitFor(wanted, timeoutMs);
  }

  /** Body of the last request with this method, byte for byte. */
  lastBody(method: string): string | undefined {
    return this.world.lastBody[method];
  }

  /** How often tool `counter` ran with this `callId`, over all sessions. */
  executionsOf(callId: string): number {
    return this.world.callIds[callId] ?? 0;
  }

  /** Ids of the open sessions, of both transports. */
  sessions(): string[] {
    return [...this.table.open.keys()];
  }

  /** The sessions are forgotten, their streams stay open; the next use is answered with `faults.unknownSession`. */
  dropSessions(): void {
    this.table.forgetAll();
  }

  /** Breaks open answers: standing streams (`get`, SSE too), the answers to POSTs (`post`), or both. */
  cutStreams(kind?: StreamKind): void {
    if (kind !== 'post') this.front.cut('get');
    if (kind !== 'get') this.front.cut('post');
  }

  /** Lets through the calls of tool `gate` that wait now. */
  openGate(): void {
    this.world.gate.open();
  }

  /** Every session has it from now on and is told so (`notifications/tools/list_changed`, sent by the SDK). */
  addTool(name: string): void {
    this.world.extraTools.push(name);
    for (const { product } of this.table.open.values()) product.addExtra(name);
  }

  removeTool(name: string): void {
    const at = this.world.extraTools.indexOf(name);
    if (at < 0) throw new Error(`no tool ${name}`);
    this.world.extraTools.splice(at, 1);
    for (const { product } of this.table.open.values()) product.removeExtra(name);
  }

  /** Sends a notification to every session, on its standing stream. */
  async broadcast(notification: ServerNotification): Promise<void> {
    await Promise.all(
      [...this.table.open.values()].map(({ product }) => product.mcp.server.notification(notification)),
    );
  }

  /** The sessions that subscribed to this resource; `listening`: an update would reach them now. */
  subscribers(uri: string): readonly { readonly listening: boolean }[] {
    return this.subscribed(uri).map(({ listening }) => ({ listening }));
  }

  /** Tells the sessions that subscribed to this resource. */
  async updateResource(uri: string): Promise<void> {
    await Promise.all(this.subscribed(uri).map(({ mcp }) => mcp.server.sendResourceUpdated({ uri })));
  }

  /** Pings the client of every session over its standing stream and waits for the answers. */
  async pingClients(): Promise<void> {
    await Promise.all([...this.table.open.values()].map(({ product }) => product.mcp.server.ping()));
  }

  /** Listens again, on the same port. */
  async start(): Promise<void> {
    await this.front.listen();
  }

  /** As a crash: all sockets and sessions are gone and the port refuses. */
  async stop(): Promise<void> {
    await this.front.stop();
    await this.table.closeAll();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async close(): Promise<void> {
    await this.stop();
  }

  private subscribed(uri: string): ProductSession[] {
    return [...this.table.open.values()].map(({ product }) => product).filter(({ subscribed }) => subscribed.has(uri));
  }

  private async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (req.method === 'POST') this.front.track(res, 'post');
    const incoming = await readIncoming(this.world, req);
    if (await intercept(this.world, incoming, req, res)) return;
    if (incoming.path === '/mcp') return this.streamable(incoming, req, res);
    if (incoming.path === '/sse' && req.method === 'GET') return this.openSse(res);
    if (incoming.path === '/messages' && req.method === 'POST') return this.message(incoming, req, res);
    res.writeHead(404, { 'content-type': 'text/plain' }).end('not found');
  }

  private async streamable(incoming: Incoming, req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { options, faults, board } = this.world;
    if (req.method === 'GET' && (faults.refuseGet || options.stateless)) return refuseMethod(res, 'POST, DELETE');
    if (this.answerRaw(incoming, res)) return;
    if (options.stateless) return this.table.once(req, res, incoming.message);
    const id = req.headers['mcp-session-id'];
    if (id === undefined && incoming.rpcMethod === 'initialize')
      return this.table.startHttp(req, res, incoming.message);
    const { http: session, product } = (typeof id === 'string' && this.table.open.get(id)) || {};
    if (!session || !product) return refuseSession(this.world, res, id !== undefined);
    if (req.method === 'GET') this.front.track((product.stream = res), 'get');
    if (req.method === 'GET' && req.headers['last-event-id']) board.change((stats) => (stats.resumed += 1));
    if (req.method === 'DELETE') board.change((stats) => (stats.deletes += 1));
    await session.handleRequest(req, res, incoming.message);
  }

  private async openSse(res: ServerResponse): Promise<void> {
    this.front.track(res, 'get');
    if (!this.world.faults.muteEndpoint) return this.table.startSse(res);
    res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': nothing to see\n\n');
  }

  private async message(incoming: Incoming, req: IncomingMessage, res: ServerResponse): Promise<void> {
    const sse = this.table.open.get(incoming.query.get('sessionId') ?? '')?.sse;
    if (!sse) return refuseSession(this.world, res, true);
    if (this.answerRaw(incoming, res, sse.stream)) return;
    await sse.transport.handlePostMessage(req, res, incoming.message);
  }

  /** `faults.rawResult`: the answer is put together as text, so that it is not what `JSON.stringify` makes of it. */
  private answerRaw(incoming: Incoming, res: ServerResponse, sseStream?: ServerResponse): boolean {
    const { faults, options } = this.world;
    if (faults.rawResult === undefined || incoming.tool !== faults.rawResult.tool) return false;
    const json = `{"jsonrpc":"2.0","id":${JSON.stringify(incoming.rpcId)},"result":${faults.rawResult.json}}`;
    if (sseStream) {
      res.writeHead(202).end('Accepted');
      sseStream.write(`event: message\ndata: ${json}\n\n`);
    } else if (options.jsonResponse) res.writeHead(200, { 'content-type': 'application/json' }).end(json);
    else res.writeHead(200, { 'content-type': 'text/event-stream' }).end(`event: message\ndata: ${json}\n\n`);
    return true;
  }
}
