import { type McpServerOptions, type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { register } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';

export type Transport = 'http' | 'sse';

export interface Way {
  readonly name: string;
  /** What the client speaks, and what the server does. */
  readonly downstream: Transport;
  readonly upstream: Transport;
  /** Without a gateway between them; through the endpoint of the one gateway; through that of all gateways. */
  readonly through: 'nothing' | 'one' | 'all';
}

/** The ways from a client to a test server that a suite goes; the direct ones show what the protocol itself gives. */
export const WAYS: readonly Way[] = [
  { name: 'direct http', downstream: 'http', upstream: 'http', through: 'nothing' },
  { name: 'direct sse', downstream: 'sse', upstream: 'sse', through: 'nothing' },
  { name: 'one, http to http', downstream: 'http', upstream: 'http', through: 'one' },
  { name: 'one, http to sse', downstream: 'http', upstream: 'sse', through: 'one' },
  { name: 'one, sse to http', downstream: 'sse', upstream: 'http', through: 'one' },
  { name: 'one, sse to sse', downstream: 'sse', upstream: 'sse', through: 'one' },
  { name: 'all, http to http', downstream: 'http', upstream: 'http', through: 'all' },
  { name: 'all, sse to http', downstream: 'sse', upstream: 'http', through: 'all' },
];

type Headers = Readonly<Record<string, string>>;

/** A way that is there to be gone. */
export interface Target extends Way {
  /** Where the client connects. */
  readonly url: string;
  /** The one at the far end; each target has its own, so its counters are the target's. */
  readonly server: McpTestServer;
  /** The public name of the server's tool or prompt. */
  readonly named: (name: string) => string;
  /** The public form of the server's URI or template. */
  readonly uri: (uri: string) => string;
}

export interface TargetsOptions {
  readonly server?: McpServerOptions;
  /** Settings of the gateway by their names. */
  readonly env?: Headers;
  /** Who registers the servers. */
  readonly headers?: Headers;
  readonly ways?: readonly Way[];
}

/** Every way with a server of its own, all gateways in one replica. */
export class Targets {
  private readonly targets = new Map<string, Target>();
  private readonly servers: McpTestServer[] = [];
  private database: TestDatabase | undefined;
  private replica: Replica | undefined;

  private constructor(private readonly options: TargetsOptions) {}

  static async start(options: TargetsOptions = {}): Promise<Targets> {
    const targets = new Targets(options);
    const ways = [...(options.ways ?? WAYS)];
    // Whoever is first to name a URI keeps it as it is, the others get aliases: of the two at the endpoint of all
    // gateways, one of each (G-4).
    ways.sort((a, b) => Number(b.through === 'all') - Number(a.through === 'all'));
    for (const way of ways) await targets.add(way);
    return targets;
  }

  at(name: string): Target {
    const target = this.targets.get(name);
    if (!target) throw new Error(`no target ${name}`);
    return target;
  }

  async close(): Promise<void> {
    await this.replica?.close();
    await Promise.all(this.servers.map((server) => server.close()));
    await this.database?.drop();
  }

  private async add(way: Way): Promise<void> {
    const server = await startMcpServer(this.options.server);
    this.servers.push(server);
    const address = way.upstream === 'http' ? server.mcpUrl : server.sseUrl;
    const path = way.downstream === 'http' ? 'mcp' : 'sse';
    if (way.through === 'nothing') return this.put(way, server, address);
    const { url } = await this.gateway();
    const transport = way.upstream === 'http' ? 'streamablehttp' : 'sse';
    const name = `t${this.servers.length}`;
    const { id } = await register(url, { name, url: address, transport }, this.options.headers);
    if (way.through === 'one') return this.put(way, server, `${url}/gateways/${id}/${path}`);
    const alias = this.servers.length > 1 ? `gw:${name}:` : '';
    this.put(way, server, `${url}/${path}`, `${name}-`, alias);
  }

  private put(way: Way, server: McpTestServer, url: string, prefix = '', alias = ''): void {
    const [named, uri] = [(name: string) => `${prefix}${name}`, (its: string) => `${alias}${its}`];
    this.targets.set(way.name, { ...way, server, url, named, uri });
  }

  private async gateway(): Promise<Replica> {
    this.database ??= await createDatabase();
    this.replica ??= await startReplica({ DATABASE_URL: this.database.url, ...this.options.env });
    return this.replica;
  }
}
