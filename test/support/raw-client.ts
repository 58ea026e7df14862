import { Agent, request } from 'node:http';
import { Answer, Inbox, type Rpc, WAIT_MS } from './raw-answer.js';

type Headers = Readonly<Record<string, string>>;

export interface RawClientOptions {
  readonly headers?: Headers;
  readonly capabilities?: object;
  readonly protocolVersion?: string;
}

const EVERYTHING = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };

/**
 * An MCP client without an SDK, for tests that choose ids and tokens themselves and look at each stream: streamable
 * HTTP, or HTTP+SSE where the address ends with `/sse`. It answers nothing by itself.
 */
export class RawClient {
  /** Everything that came on any stream. */
  readonly inbox = new Inbox();
  /** Of the `initialize` result. */
  server: Rpc['result'];
  private readonly agent = new Agent({ keepAlive: true });
  private readonly answers = new Set<Answer>();
  private postUrl: string;

  private constructor(
    private readonly url: string,
    private headers: Headers,
  ) {
    this.postUrl = url;
  }

  /** Opens a session. @throws Error if it is refused */
  static async open(url: string, options: RawClientOptions = {}): Promise<RawClient> {
    const client = new RawClient(url, options.headers ?? {});
    if (new URL(url).pathname.endsWith('/sse')) await client.openSse();
    await client.initialize(options);
    return client;
  }

  get sessionId(): string | undefined {
    return this.headers['mcp-session-id'];
  }

  /** Resolves when the headers of the answer are there. */
  post(message: object, headers: Headers = {}): Promise<Answer> {
    const accept = 'application/json, text/event-stream';
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    return this.exchange('POST', this.postUrl, { accept, 'content-type': 'application/json', ...headers }, body);
  }

  /** The standing stream, or what was missed of another one. */
  get(lastEventId?: string, headers: Headers = {}): Promise<Answer> {
    const resume: Headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    return this.exchange('GET', this.url, { accept: 'text/event-stream', ...resume, ...headers });
  }

  delete(): Promise<Answer> {
    return this.exchange('DELETE', this.url, {});
  }

  /** A call whose id and progress token the test chooses. */
  call(id: string | number, name: string, args: object = {}, progressToken?: string | number): Promise<Answer> {
    const meta = progressToken === undefined ? {} : { _meta: { progressToken } };
    return this.post({ id, method: 'tools/call', params: { name, arguments: args, ...meta } });
  }

  /** Ends the session where there is a request for that, and every connection. */
  async close(): Promise<void> {
    if (this.sessionId !== undefined) await (await this.delete()).ended();
    for (const answer of this.answers) if (!answer.ending) answer.cut();
    this.agent.destroy();
  }

  private async openSse(): Promise<void> {
    const stream = await this.get();
    if (stream.status !== 200) throw new Error(`GET ${this.url}: HTTP ${stream.status}`);
    const endpoint = await stream.inbox.wait('the endpoint', () => stream.endpoint);
    this.postUrl = new URL(endpoint, this.url).href;
  }

  private async initialize({
    capabilities = EVERYTHING,
    protocolVersion = '2025-11-25',
  }: RawClientOptions): Promise<void> {
    const params = { protocolVersion, capabilities, clientInfo: { name: 'raw', version: '1' } };
    const answer = await this.post({ id: 'initialize', method: 'initialize', params });
    if (answer.status >= 300) throw new Error(`initialize: HTTP ${answer.status} ${JSON.stringify(answer.messages)}`);
    const { message } = await this.inbox.wait('initialize', ([first]) => first);
    if (message.error) throw new Error(`initialize: ${message.error.message}`);
    this.inbox.all.length = 0;
    this.server = message.result;
    const session = answer.headers['mcp-session-id'];
    if (typeof session === 'string') {
      this.headers = { ...this.headers, 'mcp-session-id': session, 'mcp-protocol-version': protocolVersion };
    }
    await (await this.post({ method: 'notifications/initialized' })).ended();
  }

  private exchange(method: string, url: string, headers: Headers, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const req = request(url, { method, agent: this.agent, headers: { ...this.headers, ...headers } });
      const late = new Error(`${method} ${url}: no headers within ${WAIT_MS} ms; ${body?.slice(0, 300)}`);
      const timer = setTimeout(() => req.destroy(late), WAIT_MS);
      req.once('close', () => clearTimeout(timer));
      req.on('error', reject);
      req.once('response', (res) => {
        clearTimeout(timer);
        const answer = new Answer(res, (heard) => this.inbox.add(heard));
        this.answers.add(answer);
        res.once('close', () => this.answers.delete(answer));
        resolve(answer);
      });
      req.end(body);
    });
  }
}
