import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, type Socket } from 'node:net';
import { type World } from './mcp-world.js';

export type StreamKind = 'get' | 'post';

type Handler = (req: IncomingMessage, res: ServerResponse) => Promise<void>;

/** The listening side: one port for the whole life of the test server, and every socket and open answer in the hand. */
export class HttpFront {
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();
  private readonly answers: Record<StreamKind, Set<ServerResponse>> = { get: new Set(), post: new Set() };
  /** Kept over restarts; 0 until the first `listen`. */
  port: number;

  constructor(
    private readonly world: World,
    private readonly handler: Handler,
  ) {
    this.port = world.options.port ?? 0;
  }

  async listen(): Promise<void> {
    const { tls } = this.world.options;
    const server = tls ? createTlsServer(tls) : createServer();
    this.server = server;
    server.on('request', (req: IncomingMessage, res: ServerResponse) => void this.take(req, res));
    server.on('connection', (socket: Socket) => this.keep(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
    this.port = (server.address() as AddressInfo).port;
  }

  /** As a crash does it: every socket is destroyed. */
  async stop(): Promise<void> {
    const { server } = this;
    if (!server) return;
    this.server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    const gone = [...this.sockets].map((socket) => once(socket.destroy(), 'close'));
    await Promise.all([closed, ...gone]); // so the counters are true when this returns
  }

  /** Counts this answer as an open stream or POST until it is complete or broken. */
  track(res: ServerResponse, kind: StreamKind): void {
    this.answers[kind].add(res);
    this.count();
    res.once('close', () => {
      this.answers[kind].delete(res);
      this.count();
    });
  }

  cut(kind: StreamKind): void {
    for (const res of this.answers[kind]) res.destroy();
  }

  private async take(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      await this.handler(req, res);
    } catch (error) {
      // A client that went away in the middle of its own request is not our failure.
      if (!res.headersSent) res.writeHead(500, { 'content-type': 'text/plain' });
      res.end(String(error));
    }
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    this.count();
    socket.once('close', () => {
      this.sockets.delete(socket);
      this.count();
    });
  }

  private count(): void {
    this.world.board.change((stats) => {
      stats.sockets = this.sockets.size;
      stats.getStreams = this.answers.get.size;
      stats.openPosts = this.answers.post.size;
    });
  }
}
