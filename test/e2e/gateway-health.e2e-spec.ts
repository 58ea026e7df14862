import { afterEach, describe, expect, it } from '@jest/globals';
import { GatewayHealth } from '../../src/gateway/gateway-health.js';
import { SessionPoolService } from '../../src/session-pool/index.js';
import { type McpServerOptions, type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { initialize, post, register, request } from '../support/rpc.js';
import { createDatabase } from '../support/services.js';

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const TIMEOUT = 0.4;

interface Bench {
  readonly server: McpTestServer;
  readonly replica: Replica;
  readonly id: string;
  readonly health: GatewayHealth;
  readonly pool: SessionPoolService;
}

/** A service with one gateway, registered already; the counters of its server begin after that. */
async function bench(
  env: Record<string, string> = {},
  { url = 'mcpUrl', ...options }: McpServerOptions & { url?: 'mcpUrl' | 'sseUrl' } = {},
): Promise<Bench> {
  const database = await createDatabase();
  cleanups.push(() => database.drop());
  const server = await startMcpServer(options);
  cleanups.push(() => server.close());
  const limits = {
    HEALTH_CHECK_TIMEOUT: String(TIMEOUT),
    // What hangs goes on after the check has given it up; the end of the service waits for it.
    MCP_SESSION_POOL_CREATE_TIMEOUT: '1',
    MCP_SESSION_POOL_CLEANUP_TIMEOUT: '0.5',
  };
  const replica = await startReplica({ DATABASE_URL: database.url, ...limits, ...env });
  cleanups.push(() => replica.close());
  const { id } = await register(replica.url, { name: 'Demo', url: server[url] });
  await server.waitFor(({ openSessions }) => openSessions === 0);
  return { server, replica, id, health: replica.app.get(GatewayHealth), pool: replica.app.get(SessionPoolService) };
}

const listed = ({ server }: Bench): number => server.stats.requests['tools/list'] ?? 0;
const pinged = ({ server }: Bench): number => server.stats.requests['ping'] ?? 0;

describe('checkGateway of a streamable HTTP gateway (SPEC G-7)', () => {
  it('pings on one pooled session, and calls no list while the toggle is off', async () => {
    const one = await bench();
    const [lists, opened] = [listed(one), one.server.stats.initialize];
    for (let i = 0; i < 3; i++) {
      expect(await one.health.checkGateway(one.id)).toEqual({ healthy: true, durationMs: expect.any(Number) });
    }
    expect([listed(one) - lists, pinged(one), one.server.stats.initialize - opened]).toEqual([0, 3, 1]);
    expect(one.pool.getMetrics()).toMatchObject({ created: 1, totalSessions: 1, totalLeased: 0 });
    expect(one.pool.getMetrics()).toMatchObject({ hits: 0, misses: 0 }); // P-17: nobody's calls
  });

  it('calls tools/list exactly once with MCP_SESSION_POOL_EXPLICIT_HEALTH_RPC, however many pages there are', async () => {
    const one = await bench({ MCP_SESSION_POOL_EXPLICIT_HEALTH_RPC: 'true' }, { tools: 30, pageSize: 5 });
    const lists = listed(one);
    expect(await one.health.checkGateway(one.id)).toMatchObject({ healthy: true });
    expect([listed(one) - lists, pinged(one)]).toEqual([1, 1]);
  });

  it("never uses a user's session", async () => {
    const one = await bench();
    const session = await initialize(one.replica.url);
    const counter = request('tools/call', { name: 'demo-counter', arguments: {} });
    await post(`${one.replica.url}/mcp`, counter, session);
    await post(`${one.replica.url}/rpc`, counter);
    const mine = one.server.sessions();
    await one.health.checkGateway(one.id);
    const now = one.server.sessions();
    expect(now).toEqual([...mine, expect.any(String)]);
    expect(now).toHaveLength(3);
  });

  it.each(['all', 'initialize'])('a server that hangs (%s) is unhealthy for its time-out, within it', async (stall) => {
    const one = await bench();
    one.server.faults.stall = stall;
    const report = await one.health.checkGateway(one.id);
    expect(report).toMatchObject({ healthy: false, reason: 'timeout' });
    expect(report.message).toMatch(/Demo: .*HEALTH_CHECK_TIMEOUT/);
    expect(report.durationMs).toBeGreaterThanOrEqual(TIMEOUT * 1_000 - 5);
    expect(report.durationMs).toBeLessThan(TIMEOUT * 2_000);
  });

  it.each([
    ['ping', {}],
    ['tools/list', { MCP_SESSION_POOL_EXPLICIT_HEALTH_RPC: 'true' }],
  ])('a session on which %s is not answered is not used again', async (stall, env) => {
    const one = await bench(env);
    await one.health.checkGateway(one.id);
    const before = one.server.stats.initialize;
    one.server.faults.stall = stall;
    expect(await one.health.checkGateway(one.id)).toMatchObject({ healthy: false, reason: 'timeout' });
    delete one.server.faults.stall;
    expect(await one.health.checkGateway(one.id)).toMatchObject({ healthy: true });
    expect(one.server.stats.initialize - before).toBe(1);
  });

  it('a server that was restarted is healthy: a new session takes the place of the dead one', async () => {
    const one = await bench();
    await one.health.checkGateway(one.id);
    await one.server.restart();
    expect(await one.health.checkGateway(one.id)).toMatchObject({ healthy: true });
  });

  it('says why it cannot reach one that is gone, or is not let in', async () => {
    const one = await bench();
    one.server.faults.answer = 401;
    expect(await one.health.checkGateway(one.id)).toMatchObject({ healthy: false, reason: 'unauthorized' });
    await one.server.stop();
    expect(await one.health.checkGateway(one.id)).toMatchObject({ healthy: false, reason: 'refused' });
  });

  it('no room in the pool says nothing about the server', async () => {
    const one = await bench({ MCP_SESSION_POOL_MAX_PER_KEY: '1', MCP_SESSION_POOL_MAX_TOTAL_SESSIONS: '1' });
    const call = post(`${one.replica.url}/rpc`, request('tools/call', { name: 'demo-gate', arguments: {} }));
    await one.server.waitFor(({ atGate }) => atGate === 1);
    await expect(one.health.checkGateway(one.id)).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' });
    one.server.openGate();
    await call;
    expect(await one.health.checkGateway(one.id)).toMatchObject({ healthy: true });
  });

  it('ends with the reason of its signal, and of no gateway it knows nothing', async () => {
    const one = await bench();
    one.server.faults.stall = 'ping';
    const controller = new AbortController();
    const check = one.health.checkGateway(one.id, controller.signal);
    await one.server.waitFor(({ stalled }) => stalled === 1);
    controller.abort(new Error('the service ends'));
    await expect(check).rejects.toThrow('the service ends');
    const nobody = '00000000-0000-4000-8000-000000000000';
    await expect(one.health.checkGateway(nobody)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('checkGateway of an SSE gateway (SPEC G-7)', () => {
  it('opens and closes one stream of its own, and the pool stays empty', async () => {
    const one = await bench({ MCP_SESSION_POOL_EXPLICIT_HEALTH_RPC: 'true' }, { url: 'sseUrl' });
    const { initialize: opened } = one.server.stats;
    const lists = listed(one);
    expect(await one.health.checkGateway(one.id)).toMatchObject({ healthy: true });
    await one.server.waitFor(({ getStreams, openSessions }) => getStreams === 0 && openSessions === 0);
    expect([one.server.stats.initialize - opened, pinged(one), listed(one) - lists]).toEqual([1, 1, 1]);
    expect(one.pool.getMetrics()).toMatchObject({ misses: 0, hits: 0, created: 0, totalSessions: 0 });
  });

  it('one that never names its endpoint is unhealthy for its time-out', async () => {
    const one = await bench({}, { url: 'sseUrl' });
    one.server.faults.muteEndpoint = true;
    const report = await one.health.checkGateway(one.id);
    expect(report).toMatchObject({ healthy: false, reason: 'timeout' });
    expect(report.durationMs).toBeLessThan(TIMEOUT * 2_000);
  });
});
