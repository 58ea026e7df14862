import { DataSource } from 'typeorm';
import { NotificationService } from '../../src/notification/index.js';
import { type McpServerOptions, type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { register } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';
import { until } from '../support/until.js';

type Env = Readonly<Record<string, string>>;

/** A gateway in a test: its server, its id, and what the catalogue says that it offers. */
export interface WatchedServer {
  readonly id: string;
  readonly name: string;
  readonly server: McpTestServer;
}

/** Replicas that watch their gateways, on one database. */
export class NotificationWorld {
  database: TestDatabase;
  private readonly ends: (() => Promise<unknown>)[] = [];

  static async open(): Promise<NotificationWorld> {
    const world = new NotificationWorld();
    world.database = await createDatabase();
    return world;
  }

  async replica(env: Env = {}): Promise<Replica> {
    const replica = await startReplica({
      DATABASE_URL: this.database.url,
      GATEWAY_WATCH_ENABLED: 'true',
      NOTIFICATION_DEBOUNCE_SECONDS: '0.1',
      NOTIFICATION_MAX_WAIT_SECONDS: '0.5',
      ...env,
    });
    this.ends.push(() => replica.close());
    return replica;
  }

  async server(options?: McpServerOptions): Promise<McpTestServer> {
    const server = await startMcpServer(options);
    this.ends.push(() => server.close());
    return server;
  }

  /** A registered server; returns when it is watched and read once after that. */
  async watched(replica: Replica, name: string, options?: McpServerOptions): Promise<WatchedServer> {
    const server = await this.server(options);
    const { id } = await register(replica.url, { name, url: server.mcpUrl });
    await settled(replica, server);
    return { id, name, server };
  }

  /** Past the service: what is really there. */
  async rows(sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    const source = await new DataSource({ type: 'postgres', url: this.database.url }).initialize();
    try {
      return await source.query(sql, values);
    } finally {
      await source.destroy();
    }
  }

  atEnd(end: () => Promise<unknown>): void {
    this.ends.push(end);
  }

  async close(): Promise<void> {
    for (const end of this.ends.splice(0).reverse()) await end();
    await this.database.drop();
  }
}

export function notifications(replica: Replica): NotificationService {
  return replica.app.get(NotificationService);
}

/** The server has its watch session, was read when it had it, and nothing is left to be read. */
export async function settled(replica: Replica, server: McpTestServer, reads = 2): Promise<void> {
  await server.waitFor(({ getStreams, requests }) => getStreams > 0 && (requests['tools/list'] ?? 0) >= reads);
  const idle = (): boolean => notifications(replica).getMetrics().pendingRefreshes === 0;
  await until(idle, { what: 'every refresh is done' });
}

/** Public names of the tools of a gateway, past every cache. */
export async function toolsOf(replica: Replica, gatewayId: string): Promise<string[]> {
  const response = await fetch(`${replica.url}/tools?gateway=${gatewayId}&limit=100`);
  const { items } = (await response.json()) as { items: { originalName: string }[] };
  return items.map(({ originalName }) => originalName).sort();
}

/** The nearest rank. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? NaN;
}
