import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { SseConnection } from '../../src/downstream/stream/sse-connection.js';
import { until } from './until.js';

/** Both ends of an event stream: our connection, and what a client reads of it. */
export interface SsePair {
  readonly connection: SseConnection;
  readonly response: IncomingMessage;
  /** Everything that has come so far. */
  readonly text: string;
  readonly ended: boolean;
  /** Waits until this has come. */
  readonly sees: (text: string) => Promise<void>;
  /** Waits for the end; returns all that came. */
  readonly all: () => Promise<string>;
  /** The client goes away; resolves when the server knows. */
  readonly cut: () => Promise<void>;
}

/** Event streams over a real HTTP server. */
export class SsePairs {
  private readonly waiting: ((res: ServerResponse) => void)[] = [];
  private readonly server: Server = createServer((_req, res) => this.waiting.shift()?.(res));

  async open(options: { maxBufferedBytes?: number; paused?: boolean } = {}): Promise<SsePair> {
    if (!this.server.listening) await once(this.server.listen(0, '127.0.0.1'), 'listening');
    const { maxBufferedBytes = 1024 * 1024, paused = false } = options;
    const accepted = new Promise<[SseConnection, ServerResponse]>((resolve) => {
      this.waiting.push((res) => {
        resolve([new SseConnection(res, { headers: { 'x-request-id': 'r-1' }, maxBufferedBytes }), res]);
      });
    });
    const outgoing = get({ port: (this.server.address() as AddressInfo).port, agent: false });
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    const [connection, res] = await accepted;
    let [text, ended] = ['', false];
    response.on('error', () => undefined).on('close', () => (ended = true));
    if (!paused) response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    return {
      connection,
      response,
      get text() {
        return text;
      },
      get ended() {
        return ended;
      },
      sees: async (wanted) => void (await until(() => text.includes(wanted), { what: `${wanted} on the stream` })),
      all: async () => {
        await until(() => ended, { what: 'the end of the stream' });
        return text;
      },
      cut: async () => {
        const closed = res.destroyed ? Promise.resolve() : once(res, 'close');
        response.destroy();
        await closed;
      },
    };
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}
