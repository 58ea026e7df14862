import { DataSource } from 'typeorm';
import {
  type CapabilityKind,
  CatalogueService,
  type RefreshKind,
  REFRESH_KINDS,
  type RefreshReport,
} from '../../src/catalogue/index.js';
import { deferred } from '../support/deferred.js';
import { type McpServerOptions, type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { register, send } from '../support/rpc.js';
import { createDatabase } from '../support/services.js';

const cleanups: (() => Promise<unknown>)[] = [];

export function atEnd(cleanup: () => Promise<unknown>): void {
  cleanups.push(cleanup);
}

/** For `afterEach`: ends what was started, the last first. */
export async function endAll(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

export async function mcpServer(options?: McpServerOptions): Promise<McpTestServer> {
  const server = await startMcpServer(options);
  atEnd(() => server.close());
  return server;
}

/** Only who asks here has the server read: what it announces waits for an hour. */
export const UNASKED = {
  ...{ NOTIFICATION_DEBOUNCE_SECONDS: '3600', NOTIFICATION_MAX_WAIT_SECONDS: '3600' },
  GATEWAY_REFRESH_INTERVAL_SECONDS: '3600',
};

/** A database, as many services on it, and one gateway on a real server. */
export class RefreshWorld {
  id: string;

  private constructor(
    readonly server: McpTestServer,
    readonly database: string,
    readonly replicas: readonly Replica[],
  ) {}

  static async open(
    { replicas = 1, env = {} }: { replicas?: number; env?: Record<string, string> } = {},
    options: McpServerOptions & { url?: 'mcpUrl' | 'sseUrl' } = {},
  ): Promise<RefreshWorld> {
    const { url = 'mcpUrl', ...serverOptions } = options;
    const made = await createDatabase();
    atEnd(() => made.drop());
    const server = await mcpServer(serverOptions);
    const started: Replica[] = [];
    for (let i = 0; i < replicas; i++) {
      const replica = await startReplica({
        ...{ ...UNASKED, DATABASE_URL: made.url, MCP_SESSION_POOL_TRANSPORT_TIMEOUT: '2', ...env },
      });
      atEnd(() => replica.close());
      started.push(replica);
    }
    const world = new RefreshWorld(server, made.url, started);
    ({ id: world.id } = await register(world.replica().url, { name: 'Demo', url: server[url] }));
    return world;
  }

  replica(at = 0): Replica {
    const replica = this.replicas[at];
    if (!replica) throw new Error(`there is no replica ${at}`);
    return replica;
  }

  catalogue(at = 0): CatalogueService {
    return this.replica(at).app.get(CatalogueService);
  }

  /** As the notifications ask for one: it waits its turn. */
  refresh(
    { at = 0, kinds = REFRESH_KINDS }: { at?: number; kinds?: readonly RefreshKind[] } = {},
    signal = new AbortController().signal,
  ): Promise<RefreshReport> {
    return this.catalogue(at).refresh(this.id, { kinds, createdVia: 'test', whenBusy: 'wait' }, signal);
  }

  async names(kind: CapabilityKind): Promise<string[]> {
    const { items } = await this.catalogue().listCapabilities(kind, { limit: 500 });
    return items.map(({ originalName }) => originalName).sort();
  }

  /** Past the service: requests that no refresh has covered yet, and the kinds that are still to be read. */
  async pending(): Promise<{ readonly open: number; readonly kinds: string[] }> {
    const source = await new DataSource({ type: 'postgres', url: this.database }).initialize();
    try {
      const [row] = await source.query<{ open: number; kinds: string[] }[]>(
        `SELECT ("dirty_seq" - "refreshed_seq")::integer AS "open", "dirty_kinds" AS "kinds" FROM "gateways"`,
      );
      if (!row) throw new Error('there is no gateway');
      return row;
    } finally {
      await source.destroy();
    }
  }

  async rest(method: string, path: string, body?: unknown) {
    const headers = { 'content-type': 'application/json' };
    const text = body === undefined ? undefined : JSON.stringify(body);
    return send(method, `${this.replica().url}${path}`, headers, text);
  }

  /** What is asked of the server from now on, by method. */
  asked(): Record<string, number> {
    const before = { ...this.server.stats.requests };
    return new Proxy(
      {},
      { get: (_target, method: string) => (this.server.stats.requests[method] ?? 0) - (before[method] ?? 0) },
    );
  }
}

/** Holds the first request of a list (or of a page of it) until it is let through. */
export function hold(server: McpTestServer, method: string, cursor?: string) {
  const [arrived, gate] = [deferred(), deferred()];
  let first = true;
  server.faults.before = (asked, params) => {
    if (!first || asked !== method || params['cursor'] !== cursor) return undefined;
    first = false;
    arrived.resolve();
    return gate.promise;
  };
  return { arrived: arrived.promise, letGo: (): void => gate.resolve() };
}
