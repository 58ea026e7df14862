import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { type JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { bearer } from './tokens.js';
import { until } from './until.js';

interface Answer {
  readonly id?: unknown;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: Record<string, unknown> };
}

/**
 * A user of the gateway over HTTP+SSE, on the transport of the official SDK: `GET /sse`, `POST /messages`. It keeps every
 * message of its stream, where a whole client would hide those that it does not expect.
 */
export class SeedSseClient {
  readonly received: JSONRPCMessage[] = [];
  /** As the endpoint event told it. */
  sessionId = '';
  private serial = 0;

  private constructor(private readonly transport: SSEClientTransport) {
    transport.onmessage = (message) => void this.received.push(message);
  }

  /** A user whose stream is open, and initialized unless it is said otherwise. */
  static async open(url: string, user: string, options = { initialize: true }): Promise<SeedSseClient> {
    let posted = (_url: string): void => undefined;
    const transport = new SSEClientTransport(new URL(`${url}/sse`), {
      requestInit: { headers: await bearer(user) },
      fetch: (to, init) => (posted(String(to)), fetch(to, init)),
    });
    const client = new SeedSseClient(transport);
    posted = (to) => (client.sessionId = new URL(to).searchParams.get('sessionId') ?? client.sessionId);
    await transport.start();
    if (options.initialize) await client.initialize();
    return client;
  }

  async initialize(): Promise<Answer> {
    const clientInfo = { name: 'seed', version: '1' };
    const answer = await this.ask('initialize', { protocolVersion: '2024-11-05', capabilities: {}, clientInfo });
    await this.transport.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return answer;
  }

  /** Sends a request and waits for the answer on the stream. */
  async ask(method: string, params: Record<string, unknown> = {}): Promise<Answer> {
    const id = await this.send(method, params);
    return until(() => this.answersTo(id)[0], { what: `the answer to ${method} on the stream` });
  }

  /** @returns the id of the request; its answer comes on the stream */
  async send(method: string, params: Record<string, unknown> = {}): Promise<number> {
    const id = (this.serial += 1);
    await this.transport.send({ jsonrpc: '2.0', id, method, params });
    return id;
  }

  answersTo(id: unknown): Answer[] {
    return (this.received as Answer[]).filter((message) => message.id === id);
  }

  /** The stream ends, and with it the session. */
  close(): Promise<void> {
    return this.transport.close();
  }
}
