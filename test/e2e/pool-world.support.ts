import { SessionPoolService } from '../../src/session-pool/index.js';
import { type McpServerOptions, type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { initialize, MCP_HEADERS, register, request } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';

type Headers = Readonly<Record<string, string>>;

/** How a call ended, and when, in milliseconds since it was made. */
export interface Outcome {
  readonly ok: boolean;
  /** First text of the result. */
  readonly text: string;
  /** `data.code` of the error. */
  readonly code?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly ms: number;
}

/** One who calls tools: without a session at `/rpc`, or with one at `/mcp`. */
export class Caller {
  constructor(
    private readonly url: string,
    private readonly headers: Headers,
  ) {}

  /** @param own headers of this one call */
  async call(tool: string, args: unknown = {}, own: Headers = {}): Promise<Outcome> {
    const started = performance.now();
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { ...MCP_HEADERS, ...this.headers, ...own },
      body: JSON.stringify(request('tools/call', { name: tool, arguments: args })),
    });
    const body = (await response.json()) as RpcBody;
    const ms = performance.now() - started;
    const text = body.result?.content[0]?.text ?? body.error?.message ?? '';
    const ok = body.result !== undefined && body.result.isError !== true;
    const data = body.error?.data;
    return { ok, text, ms, ...(data ? { data, code: String(data['code']) } : {}) };
  }

  /** The same call until it went well: for what needs its time to recover. @throws Error with the last failure */
  async must(tool: string, args: unknown = {}): Promise<string> {
    const { ok, text, code } = await this.call(tool, args);
    if (!ok) throw new Error(`${tool}: ${code} ${text}`);
    return text;
  }

  /** Ends the downstream session. */
  async end(): Promise<void> {
    await fetch(this.url, { method: 'DELETE', headers: this.headers });
  }
}

interface RpcBody {
  readonly result?: { readonly isError?: boolean; readonly content: readonly { readonly text?: string }[] };
  readonly error?: { readonly message: string; readonly data?: Record<string, unknown> };
}

/** A database, services on it and MCP servers, all of which end together. */
export class PoolWorld {
  private database: TestDatabase | undefined;
  private readonly replicas: Replica[] = [];
  private readonly servers: McpTestServer[] = [];

  /** @param env settings by their names */
  async replica(env: Headers = {}): Promise<Replica> {
    this.database ??= await createDatabase();
    const started = await startReplica({
      ...{ DATABASE_URL: this.database.url, LOG_LEVEL: 'warn' },
      SSE_AFTER_MS: '60000', // callers here read JSON, however slow the machine is
      ...env,
    });
    this.replicas.push(started);
    return started;
  }

  async server(options?: McpServerOptions): Promise<McpTestServer> {
    const started = await startMcpServer(options);
    this.servers.push(started);
    return started;
  }

  /** Registers the server; its tools are `<name>-<tool>`. */
  async gateway(
    replica: Replica,
    name: string,
    url: string,
    more: object = {},
    headers: Headers = {},
  ): Promise<string> {
    const { id } = await register(replica.url, { name, url, ...more }, headers);
    return id;
  }

  async close(): Promise<void> {
    await Promise.all(this.replicas.splice(0).map((replica) => replica.close()));
    await Promise.all(this.servers.splice(0).map((server) => server.close()));
    await this.database?.drop();
    this.database = undefined;
  }
}

/** Calls without a session: the pool lends a session of this identity. */
export function pooled(replica: Replica, headers: Headers = {}): Caller {
  return new Caller(`${replica.url}/rpc`, headers);
}

/** A client's session: the pool binds an upstream session to it. */
export async function tab(replica: Replica, headers: Headers = {}): Promise<Caller> {
  return new Caller(`${replica.url}/mcp`, await initialize(replica.url, headers));
}

/** The identity of `AUTH_MODE=none` callers that name themselves. */
export function user(name: string | number): Headers {
  return { 'x-user-id': `user-${name}` };
}

export function poolOf(replica: Replica): SessionPoolService {
  return replica.app.get(SessionPoolService);
}

/** The value below which the given part of the sorted values lies. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

/** One line of figures in the test's output, past Jest's own console. */
export function figures(what: string, numbers: Readonly<Record<string, string | number>>): void {
  const text = Object.entries(numbers).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? round(value) : value}`,
  );
  process.stdout.write(`    ${what}: ${text.join(', ')}\n`);
}

function round(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}
