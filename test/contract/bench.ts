import { type ConnectorOptions } from '../../src/upstream/connector-options.js';
import { UpstreamError } from '../../src/upstream/upstream.errors.js';
import {
  type ConnectOptions,
  type Connector,
  type HeaderMap,
  type RequestOptions,
  type Target,
  type Transport,
  type UpstreamReply,
  type UpstreamSession,
} from '../../src/upstream/upstream.port.js';
import { type McpServerOptions, type McpTestServer, startMcpServer } from '../support/mcp-server.js';

export type ClosableConnector = Connector & { close(): Promise<void> };

/** A connector under the contract, and what its transport can and cannot do. */
export interface Subject {
  readonly transport: Transport;
  make(options: ConnectorOptions): ClosableConnector;
  urlOf(server: McpTestServer): string;
  readonly server?: McpServerOptions;
  /** Where the server speaks during a call: on the call's own stream, named by `origin`, or on the session's one. */
  readonly interim: { readonly via: 'call' | 'stream'; readonly origin: boolean };
  /** Whether the session outlives its streams, so that it must be ended by DELETE. */
  readonly deletes: boolean;
}

export interface ContractCase {
  readonly title: string;
  /** For some subjects only; without it for all. */
  readonly appliesTo?: (subject: Subject) => boolean;
  run(bench: Bench): Promise<void>;
}

const OPTIONS: ConnectorOptions = {
  connectTimeoutMs: 5_000,
  maxResponseBytes: 16 * 1024 * 1024,
  transportTimeoutMs: 5_000,
  cleanupTimeoutMs: 2_000,
  clientInfo: { name: 'contract', version: '9.9.9' },
};

/** One test's server, connector and sessions; `close` ends them all. */
export class Bench {
  /** What the credential source answers from now on. */
  credentials: HeaderMap | (() => HeaderMap | Promise<HeaderMap>) = {};
  private readonly sessions: UpstreamSession[] = [];
  private readonly connectors: ClosableConnector[] = [];
  private readonly servers: McpTestServer[] = [];

  private constructor(readonly subject: Subject) {}

  static async open(subject: Subject): Promise<Bench> {
    const bench = new Bench(subject);
    await bench.startServer();
    return bench;
  }

  get server(): McpTestServer {
    return this.servers[0] as McpTestServer;
  }

  async startServer(options: McpServerOptions = {}): Promise<McpTestServer> {
    const server = await startMcpServer({ ...this.subject.server, ...options });
    this.servers.push(server);
    return server;
  }

  connector(options: Partial<ConnectorOptions> = {}): ClosableConnector {
    const connector = this.subject.make({ ...OPTIONS, ...options });
    this.connectors.push(connector);
    return connector;
  }

  target(over: Partial<Target> = {}): Target {
    const headers = (): HeaderMap | Promise<HeaderMap> =>
      typeof this.credentials === 'function' ? this.credentials() : this.credentials;
    const { transport } = this.subject;
    const url = this.subject.urlOf(this.server);
    return { gatewayId: 'g1', gatewayName: 'bench', url, transport, credentials: { headers }, ...over };
  }

  async connect(
    options: ConnectOptions = {},
    over: Partial<Target> = {},
    limits: Partial<ConnectorOptions> = {},
  ): Promise<UpstreamSession> {
    const session = await this.connector(limits).connect(this.target(over), options);
    this.sessions.push(session);
    return session;
  }

  /** A session with its standing stream open at the server. */
  async listening(options: ConnectOptions = {}): Promise<UpstreamSession> {
    const session = await this.connect({ ...options, listen: true });
    await this.server.waitFor(({ getStreams }) => getStreams === 1);
    return session;
  }

  async close(): Promise<void> {
    await Promise.all(this.sessions.map((session) => session.close('terminate')));
    await Promise.all(this.connectors.map((connector) => connector.close()));
    await Promise.all(this.servers.map((server) => server.close()));
  }
}

export function params(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

export function callTool(
  session: UpstreamSession,
  name: string,
  args: unknown = {},
  options: RequestOptions = {},
): Promise<UpstreamReply> {
  return session.request('tools/call', params({ name, arguments: args }), options);
}

export function parsed(raw: Buffer): unknown {
  return JSON.parse(raw.toString('utf8')) as unknown;
}

/** The text of a tool's answer. */
export function textOf(reply: UpstreamReply): string {
  const result = parsed(reply.raw) as { content?: { text?: string }[] };
  return result.content?.[0]?.text ?? `no text: ${reply.raw.toString('utf8')}`;
}

/** The error of something that has to fail, of the one kind that connectors may throw. */
export async function failureOf(work: Promise<unknown>): Promise<UpstreamError> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (error instanceof UpstreamError) return error;
  throw error;
}
