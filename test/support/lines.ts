import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect, createServer, type Server as TcpServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** A way to a server that a test can cut and mend. */
export class TcpLine {
  private readonly sockets = new Set<Socket>();
  private server: TcpServer;
  private isCut = false;

  /** @param port where the server listens, on 127.0.0.1 */
  static async to(port: number): Promise<TcpLine> {
    const line = new TcpLine();
    line.server = createServer((client) => line.relay(client, port)).listen(0, '127.0.0.1');
    await once(line.server, 'listening');
    return line;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** What is open breaks, and whoever comes is turned away. */
  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy();
  }

  mend(): void {
    this.isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private relay(client: Socket, port: number): void {
    if (this.isCut) return void client.destroy();
    const target = connect(port, '127.0.0.1');
    for (const socket of [client, target]) {
      this.sockets.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          this.sockets.delete(socket);
          client.destroy();
          target.destroy();
        });
    }
    client.pipe(target).pipe(client);
  }
}

const LIST = /"method":"(tools|resources|resources\/templates|prompts)\/list"/;

/**
 * The same in front of an MCP server over streamable HTTP, with counts: requests by HTTP method, and which sessions are
 * reading lists, from their first list to their DELETE.
 */
export class HttpLine {
  readonly requests: Record<string, number> = {};
  /** Connections that came while the line was cut. */
  turnedAway = 0;
  /** Sessions that read lists at the same time, at most. */
  mostReaders = 0;
  /** Milliseconds that each list takes on the way. */
  listDelayMs = 0;
  private readonly readers = new Set<string>();
  private readonly sockets = new Set<Socket>();
  private server: Server;
  private isCut = false;

  static async to(port: number): Promise<HttpLine> {
    const line = new HttpLine();
    line.server = createHttpServer((req, res) => {
      line.relay(req, res, port).catch(() => res.destroy());
    }).listen(0, '127.0.0.1');
    line.server.on('connection', (socket) => line.keep(socket));
    await once(line.server, 'listening');
    return line;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/mcp`;
  }

  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy();
    this.readers.clear(); // whoever was reading has just failed
  }

  mend(): void {
    this.isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private keep(socket: Socket): void {
    if (this.isCut) {
      this.turnedAway += 1;
      socket.destroy();
      return;
    }
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
  }

  private async relay(req: IncomingMessage, res: ServerResponse, port: number): Promise<void> {
    const method = req.method ?? '';
    this.requests[method] = (this.requests[method] ?? 0) + 1;
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const session = String(req.headers['mcp-session-id']);
    if (LIST.test(body.toString())) {
      this.readers.add(session);
      this.mostReaders = Math.max(this.mostReaders, this.readers.size);
      await delay(this.listDelayMs);
    }
    if (method === 'DELETE') this.readers.delete(session);
    this.pass(req, res, body, port);
  }

  private pass(req: IncomingMessage, res: ServerResponse, body: Buffer, port: number): void {
    const { method, headers, url: path } = req;
    const onward = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
    onward.on('error', () => res.destroy());
    onward.on('response', (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      res.flushHeaders();
      answer.on('error', () => res.destroy());
      answer.pipe(res);
    });
    res.on('close', () => onward.destroy());
    onward.end(body);
  }
}
