import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';

export interface RawRpc {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: unknown;
}

/** Answers one POST itself, or says `false` to leave it to the default. */
export type RawPostHandler = (message: RawRpc, res: ServerResponse) => boolean;

/**
 * An HTTP+SSE server without an SDK, byte for byte what a test wants: for what no well-behaved server does.
 * By default it names its endpoint, takes every POST with 202 and answers `initialize` and nothing else.
 */
export class RawSseServer {
  /** The `data` of the `endpoint` event. */
  endpoint = '/post?sessionId=raw';
  protocolVersion = '2025-11-25';
  /** Written when a stream opens, before the endpoint. */
  preamble = '';
  /** `GET` requests, with their headers, and messages posted, in order. */
  readonly gets: IncomingMessage[] = [];
  readonly posts: RawRpc[] = [];
  onGet: ((req: IncomingMessage, res: ServerResponse) => boolean) | undefined;
  onPost: RawPostHandler | undefined;
  private readonly streams = new Set<ServerResponse>();

  private constructor(private readonly server: Server) {
    server.on('request', (req: IncomingMessage, res: ServerResponse) => void this.take(req, res));
  }

  static async start(): Promise<RawSseServer> {
    const server = createServer();
    const raw = new RawSseServer(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return raw;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.origin}/sse`;
  }

  /** Sends a JSON value as a `message` event on every open stream. */
  say(message: unknown): void {
    this.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  }

  /** Writes these very bytes on every open stream. */
  write(bytes: string | Buffer): void {
    for (const stream of this.streams) stream.write(bytes);
  }

  /** Ends the open streams as a server does that has had enough. */
  endStreams(): void {
    for (const stream of this.streams) stream.end();
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  private async take(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (req.method === 'GET') return this.open(req, res);
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const message = JSON.parse(Buffer.concat(chunks).toString('utf8')) as RawRpc;
    this.posts.push(message);
    if (this.onPost?.(message, res)) return;
    res.writeHead(202).end();
    if (message.method === 'initialize') this.welcome(message);
  }

  private open(req: IncomingMessage, res: ServerResponse): void {
    this.gets.push(req);
    if (this.onGet?.(req, res)) return;
    this.streams.add(res);
    res.once('close', () => this.streams.delete(res));
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(`${this.preamble}event: endpoint\ndata: ${this.endpoint}\n\n`);
  }

  private welcome({ id }: RawRpc): void {
    const { protocolVersion } = this;
    this.say({ jsonrpc: '2.0', id, result: { protocolVersion, capabilities: {}, serverInfo: { name: 'raw' } } });
  }
}
