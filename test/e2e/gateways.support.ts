import { type AddressInfo, createServer } from 'node:net';
import { expect } from '@jest/globals';
import { DataSource } from 'typeorm';
import { type McpServerOptions, type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { createDatabase, type TestDatabase } from '../support/services.js';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: ReturnType<JSON['parse']>;
}

export const MAX_BODY_BYTES = 64 * 1024;

/** One service on a database of its own, and MCP servers, for the tests of REST. */
export class GatewayWorld {
  database: TestDatabase;
  replica: Replica;
  private readonly cleanups: (() => Promise<unknown>)[] = [];

  async open(): Promise<void> {
    this.database = await createDatabase();
    this.replica = await this.another({ MAX_BODY_BYTES: String(MAX_BODY_BYTES) });
  }

  async close(): Promise<void> {
    await this.replica.close();
    await this.database.drop();
  }

  /** After each test: no gateway, no server, no other replica. */
  async reset(): Promise<void> {
    for (const { id } of (await this.rest('GET', '/gateways')).body.items) await this.rest('DELETE', `/gateways/${id}`);
    for (const cleanup of this.cleanups.splice(0).reverse()) await cleanup();
  }

  atEnd(cleanup: () => Promise<unknown>): void {
    this.cleanups.push(cleanup);
  }

  /** Another service on the same database; the caller closes it. */
  another(env: Readonly<Record<string, string>> = {}): Promise<Replica> {
    const quick = { MCP_SESSION_POOL_TRANSPORT_TIMEOUT: '0.7', MCP_SESSION_POOL_CREATE_TIMEOUT: '0.7' };
    return startReplica({ ...quick, DATABASE_URL: this.database.url, ...env });
  }

  async restart(): Promise<void> {
    await this.replica.close();
    this.replica = await this.another({ MAX_BODY_BYTES: String(MAX_BODY_BYTES) });
  }

  async server(options?: McpServerOptions): Promise<McpTestServer> {
    const started = await startMcpServer(options);
    this.atEnd(() => started.close());
    return started;
  }

  async rest(method: string, path: string, body?: unknown, base = this.replica.url): Promise<Answer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${base}${path}`, { method, ...(body === undefined ? {} : { headers, body: text }) });
    const answer = await response.text();
    const json = response.headers.get('content-type')?.includes('json');
    return { status: response.status, headers: response.headers, text: answer, body: json ? JSON.parse(answer) : {} };
  }

  register(body: unknown, query = ''): Promise<Answer> {
    return this.rest('POST', `/gateways${query}`, body);
  }

  /** Past the service: what is really there. */
  async rowsOf(table: string): Promise<Record<string, unknown>[]> {
    const source = await new DataSource({ type: 'postgres', url: this.database.url }).initialize();
    try {
      return await source.query(`SELECT * FROM "${table}"`);
    } finally {
      await source.destroy();
    }
  }

  async expectNothingStored(): Promise<void> {
    expect(await this.rowsOf('gateways')).toEqual([]);
    expect(await this.rowsOf('capabilities')).toEqual([]);
  }
}

/** SPEC §8: a problem document with a stable code, and never a stack. */
export function expectProblem(answer: Answer, status: number, code: string): void {
  expect([answer.status, answer.body.code, answer.text]).toEqual([status, code, answer.text]);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status, code, detail: expect.any(String), title: expect.any(String) });
  expect(answer.body.requestId).toBe(answer.headers.get('x-request-id'));
  expect(answer.text).not.toMatch(/node_modules|\.ts:\d/);
}

/** One member of each. */
export function pluck(items: unknown, member: string): unknown[] {
  return (items as Record<string, unknown>[]).map((item) => item[member]);
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
