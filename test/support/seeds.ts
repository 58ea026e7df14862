import { CatalogueService, type GatewayEntry } from '../../src/catalogue/index.js';
import { GatewayHealth } from '../../src/gateway/gateway-health.js';
import {
  type PoolKey,
  SessionPoolService,
  type Transport,
  type UpstreamSession,
} from '../../src/session-pool/index.js';
import { useOf } from './pool-use.js';
import { type McpServerOptions, type McpTestServer, startMcpServer } from './mcp-server.js';
import { type Replica, startReplica } from './replica.js';
import { initialize, post, register, request, type RpcAnswer } from './rpc.js';
import { createDatabase, type TestDatabase } from './services.js';
import { bearer, TEST_JWT_SECRET } from './tokens.js';
import { until } from './until.js';

type Headers = Record<string, string>;
type Env = Readonly<Record<string, string>>;

/** What one test of a seed has to itself: a database, replicas on it, MCP servers. */
export class SeedWorld {
  private database: TestDatabase | undefined;
  private readonly ends: (() => Promise<unknown>)[] = [];

  async server(options?: McpServerOptions): Promise<McpTestServer> {
    const server = await startMcpServer(options);
    this.atEnd(() => server.close());
    return server;
  }

  /** A replica whose users bring tokens; with AUTH_MODE=none the identity headers tell them apart. Ready when it returns. */
  async replica(env: Env = {}): Promise<SeedReplica> {
    this.database ??= await createDatabase();
    const auth: Env = env['AUTH_MODE'] === 'none' ? {} : { AUTH_MODE: 'jwt', JWT_SECRET: TEST_JWT_SECRET };
    const replica = await startReplica({
      DATABASE_URL: this.database.url,
      SSE_AFTER_MS: '60000', // callers here read JSON, however slow the machine is
      ...auth,
      ...env,
    });
    this.atEnd(() => replica.close());
    const { url } = replica;
    await until(async () => (await fetch(`${url}/ready`)).ok, { what: 'the replica is ready' });
    return new SeedReplica(replica);
  }

  atEnd(end: () => Promise<unknown>): void {
    this.ends.push(end);
  }

  async close(): Promise<void> {
    for (const end of this.ends.splice(0).reverse()) await end();
    await this.database?.drop();
  }
}

/** A registered server, as its record says it. */
export type SeedGateway = Record<string, unknown> & { readonly id: string };

/** One replica, as its users and its operator see it. */
export class SeedReplica {
  readonly pool: SessionPoolService;

  constructor(readonly replica: Replica) {
    this.pool = replica.app.get(SessionPoolService);
  }

  get metrics(): ReturnType<SessionPoolService['getMetrics']> {
    return this.pool.getMetrics();
  }

  /** Registers the server over REST: its tools are then `<slug>-…`. */
  async register(name: string, url: string, transport: Transport): Promise<SeedGateway> {
    return register(this.replica.url, { name, url, transport }, await bearer('root', { scope: 'admin' }));
  }

  /** Registers the server's side for the transport, by the name `http` or `sse`. */
  add(server: McpTestServer, transport: Transport): Promise<SeedGateway> {
    if (transport === 'sse') return this.register('sse', server.sseUrl, transport);
    return this.register('http', server.mcpUrl, transport);
  }

  /** A downstream session: the headers that its requests need. */
  session(headers: Headers = {}): Promise<Headers> {
    return initialize(this.replica.url, headers);
  }

  /** One request: at /mcp if the headers name a session, else at /rpc. */
  ask(method: string, params: unknown, headers: Headers = {}): Promise<RpcAnswer> {
    const path = 'mcp-session-id' in headers ? '/mcp' : '/rpc';
    return post(this.replica.url + path, request(method, params), headers);
  }

  /** The text that a tool answers. @throws Error if it does not */
  async call(tool: string, args: Readonly<Record<string, unknown>> = {}, headers: Headers = {}): Promise<string> {
    const answer = await this.ask('tools/call', { name: tool, arguments: args }, headers);
    const content = answer.json.result?.['content'] as { text: string }[] | undefined;
    if (!content?.[0]) throw new Error(`${tool}: HTTP ${answer.status} ${answer.text}`);
    return content[0].text;
  }

  /** The session that this call got at the server, and the headers that the server saw. */
  async whoami(tool: string, headers: Headers = {}): Promise<{ sessionId: string; headers: Headers }> {
    return JSON.parse(await this.call(tool, {}, headers)) as { sessionId: string; headers: Headers };
  }

  /** The stable code of the error that a call is answered with. */
  async errorOf(tool: string, headers: Headers = {}): Promise<Record<string, unknown>> {
    const answer = await this.ask('tools/call', { name: tool, arguments: {} }, headers);
    if (!answer.json.error?.data) throw new Error(`${tool} should have failed: ${answer.text}`);
    return answer.json.error.data;
  }

  /** One piece of work on a session of this very key, without an edge in front. */
  use<R>(key: PoolKey, work: (session: UpstreamSession) => Promise<R>): Promise<R> {
    return this.pool.use(useOf(key, { repeatable: true }), work, AbortSignal.timeout(10_000));
  }

  async gateway(id: string): Promise<GatewayEntry> {
    const entry = await this.replica.app.get(CatalogueService).findGateway(id);
    if (!entry) throw new Error(`no gateway ${id}`);
    return entry;
  }

  /** SPEC G-7. */
  checkGateway(id: string): ReturnType<GatewayHealth['checkGateway']> {
    return this.replica.app.get(GatewayHealth).checkGateway(id);
  }

  /** The keys that the pool holds now, by the parts of their names in the metrics (SPEC P-1, P-17: hashes are cut). */
  get keys(): { url: string; identity: string; transport: string; user: string; gateway: string }[] {
    return Object.keys(this.metrics.pools).map((name) => {
      const [url = '', identity = '', transport = '', user = '', gateway = ''] = name.split('|');
      return { url, identity, transport, user, gateway };
    });
  }
}

/** What the server has seen from now on. */
export function countFrom({ stats }: McpTestServer): {
  initialize: number;
  deletes: number;
  of(method: string): number;
} {
  const { initialize, deletes } = stats;
  const requests = { ...stats.requests };
  return {
    get initialize() {
      return stats.initialize - initialize;
    },
    get deletes() {
      return stats.deletes - deletes;
    },
    of: (method) => (stats.requests[method] ?? 0) - (requests[method] ?? 0),
  };
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
