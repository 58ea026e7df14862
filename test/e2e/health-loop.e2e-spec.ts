import { afterEach, describe, expect, it } from '@jest/globals';
import { CatalogueService, type CatalogueChange } from '../../src/catalogue/index.js';
import { GatewayLeader } from '../../src/redis/gateway-leader.js';
import { type McpServerOptions, type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { post, register, request, send } from '../support/rpc.js';
import { createDatabase, freshKeyPrefix, redisUrl, type RedisServer, startRedis } from '../support/services.js';
import { until } from '../support/until.js';
import { UNASKED } from './refresh.support.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** An interval that many rounds of fit into a test; the circuit stays at its minute, which must hinder nobody. */
const QUICK = {
  ...{ HEALTH_CHECK_INTERVAL: '0.05', HEALTH_CHECK_TIMEOUT: '0.4' },
  ...{ MCP_SESSION_POOL_CREATE_TIMEOUT: '1', MCP_SESSION_POOL_CLEANUP_TIMEOUT: '0.5' },
};

async function database(): Promise<string> {
  const made = await createDatabase();
  cleanups.push(() => made.drop());
  return made.url;
}

async function mcpServer(options?: McpServerOptions): Promise<McpTestServer> {
  const server = await startMcpServer(options);
  cleanups.push(() => server.close());
  return server;
}

async function replica(env: Record<string, string>): Promise<Replica> {
  const started = await startReplica({ ...UNASKED, ...QUICK, ...env });
  cleanups.push(() => started.close());
  return started;
}

type View = Record<string, unknown> & { lastError: { reason: string; message: string } | null; lastSeen: string };

async function view({ url }: Replica, id: string): Promise<View> {
  return (await send('GET', `${url}/gateways/${id}`)).json as unknown as View;
}

const reachable = async (at: Replica, id: string, wanted: boolean): Promise<View> =>
  until(
    async () => {
      const now = await view(at, id);
      return now['reachable'] === wanted && now;
    },
    { what: wanted ? 'reachable' : 'unreachable', timeoutMs: 10_000 },
  );

const echo = ({ url }: Replica) =>
  post(`${url}/rpc`, request('tools/call', { name: 'demo-echo', arguments: { text: 'hi' } }));
const pings = (server: McpTestServer): number => server.stats.requests['ping'] ?? 0;

async function metric({ url }: Replica, name: string): Promise<number | undefined> {
  const { text } = await send('GET', `${url}/metrics`);
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

describe('the health loop (SPEC G-7)', () => {
  it.each(['mcpUrl', 'sseUrl'] as const)(
    'a server that goes (%s) is unreachable after three checks, its tools fail at once, and it is found back',
    async (url) => {
      const server = await mcpServer();
      const one = await replica({ DATABASE_URL: await database() });
      const { id } = await register(one.url, { name: 'Demo', url: server[url] });
      const changes: CatalogueChange[] = [];
      one.app.get(CatalogueService).changes.subscribe((change) => void changes.push(change));
      expect((await echo(one)).json.result).toBeDefined();
      const { updatedAt } = await view(one, id);
      await until(() => pings(server) > 2, { what: 'checks' });
      expect([(await view(one, id)).lastSeen, changes]).toEqual([expect.any(String), []]);

      await server.stop();
      const down = await reachable(one, id, false);
      expect(down.lastError).toEqual({ reason: 'refused', message: expect.stringContaining('Demo') });
      expect([down['updatedAt'], down['enabled']]).toEqual([updatedAt, true]);
      const started = performance.now();
      const refused = await echo(one);
      expect(performance.now() - started).toBeLessThan(300);
      expect(refused.json.error).toMatchObject({
        code: -32000,
        message: expect.stringMatching(/^Demo: its server cannot be reached \(refused\); it was last seen at \d{4}-/),
        data: { code: 'UPSTREAM_UNAVAILABLE', retryable: true, retryAfterMs: 50, gateway: 'Demo', reason: 'refused' },
      });
      expect(refused.json.error?.data?.['lastSeen']).toBe(down.lastSeen);
      expect(await metric(one, 'mcpgateway_gateways{state="unreachable"}')).toBe(1);

      await server.start();
      expect(await reachable(one, id, true)).toMatchObject({ lastError: null });
      expect((await echo(one)).json.result).toBeDefined();
      // Clients are told nothing: their lists look the same.
      expect(changes).toEqual([
        { gatewayId: id, kinds: [] },
        { gatewayId: id, kinds: [] },
      ]);
      await until(async () => (await metric(one, 'mcpgateway_gateways{state="reachable"}')) === 1, { what: 'gauge' });
      expect(await metric(one, 'mcpgateway_gateway_health_checks_total{outcome="unhealthy"}')).toBeGreaterThan(2);
      expect(await metric(one, 'mcpgateway_gateway_health_checks_total{outcome="healthy"}')).toBeGreaterThan(2);
      const lines = one.logLines.map(({ msg }) => String(msg)).filter((line) => line.startsWith('gateway Demo is'));
      expect(lines).toEqual([
        expect.stringMatching(/^gateway Demo is unreachable \(refused\): /),
        'gateway Demo is reachable again',
      ]);
    },
    20_000,
  );

  it('a refresh that reads the server finds it back, too', async () => {
    const server = await mcpServer();
    const url = await database();
    const one = await replica({ DATABASE_URL: url, UNHEALTHY_THRESHOLD: '1' });
    const { id } = await register(one.url, { name: 'Demo', url: server.mcpUrl });
    server.faults.stall = 'ping';
    await reachable(one, id, false);
    await one.close();
    const other = await replica({ DATABASE_URL: url, HEALTH_CHECK_INTERVAL: '3600' });
    expect((await echo(other)).json.error?.data?.['code']).toBe('UPSTREAM_UNAVAILABLE');
    expect((await post(`${other.url}/gateways/${id}/refresh`, {})).status).toBe(200);
    expect((await echo(other)).json.result).toBeDefined();
    expect(await view(other, id)).toMatchObject({ reachable: true, lastError: null });
  });

  it('what an administrator disabled is left alone; a check that finds no room in the pool changes nothing', async () => {
    const [server, busy] = [await mcpServer(), await mcpServer()];
    const caps = { MCP_SESSION_POOL_MAX_PER_KEY: '1', MCP_SESSION_POOL_MAX_TOTAL_SESSIONS: '1' };
    const one = await replica({ DATABASE_URL: await database(), UNHEALTHY_THRESHOLD: '1', ...caps });
    const { id } = await register(one.url, { name: 'Off', url: server.mcpUrl });
    await post(`${one.url}/gateways/${id}/state`, { enabled: false });
    const { id: other } = await register(one.url, { name: 'Demo', url: busy.mcpUrl });
    const call = post(`${one.url}/rpc`, request('tools/call', { name: 'demo-gate', arguments: {} }));
    await busy.waitFor(({ atGate }) => atGate === 1);
    const unknown = (): Promise<number | undefined> =>
      metric(one, 'mcpgateway_gateway_health_checks_total{outcome="unknown"}');
    await until(async () => ((await unknown()) ?? 0) > 2, { what: 'checks without room', timeoutMs: 10_000 });
    expect(await view(one, other)).toMatchObject({ reachable: true, lastError: null });
    busy.openGate();
    await call;

    await server.stop();
    const checked = pings(busy);
    await until(() => pings(busy) > checked + 2, { what: 'rounds' });
    expect(await view(one, id)).toMatchObject({ enabled: false, reachable: true });
  }, 20_000);

  it('of two replicas one checks; the other takes over when it goes', async () => {
    const server = await mcpServer();
    const shared = { DATABASE_URL: await database(), REDIS_URL: redisUrl(), REDIS_KEY_PREFIX: freshKeyPrefix() };
    const [first, second] = [await replica(shared), await replica(shared)];
    await register(first.url, { name: 'Demo', url: server.mcpUrl });
    const leads = (one: Replica): boolean => one.app.get(GatewayLeader).leading;
    const leader = await until(() => [first, second].find(leads), { what: 'a leader', timeoutMs: 15_000 });
    const other = leader === first ? second : first;
    await until(() => pings(server) > 3, { what: 'checks' });
    const checks = (one: Replica) => metric(one, 'mcpgateway_gateway_health_checks_total{outcome="healthy"}');
    expect([leads(other), await checks(other)]).toEqual([false, undefined]);
    expect(await metric(other, 'mcpgateway_gateways{state="reachable"}')).toBeUndefined();
    await leader.close();
    const before = pings(server);
    await until(() => leads(other) && pings(server) > before + 2, { what: 'the other checks', timeoutMs: 15_000 });
  }, 40_000);

  it('while Redis is away nobody leads, and calls go on', async () => {
    const redis: RedisServer = await startRedis();
    cleanups.push(() => redis.stop());
    const server = await mcpServer();
    const shared = {
      DATABASE_URL: await database(),
      REDIS_URL: redis.url,
      MCPGATEWAY_SESSION_AFFINITY_ENABLED: 'false',
    };
    const one = await replica(shared);
    await register(one.url, { name: 'Demo', url: server.mcpUrl });
    const leader = one.app.get(GatewayLeader);
    await until(() => leader.leading, { what: 'leading', timeoutMs: 15_000 });
    await redis.kill();
    await until(() => !leader.leading, { what: 'the lease has run out', timeoutMs: 20_000 });
    expect((await echo(one)).json.result).toBeDefined();
  }, 40_000);
});
