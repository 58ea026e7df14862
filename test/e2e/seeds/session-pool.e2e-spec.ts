import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AccessService } from '../../../src/auth/access.service.js';
import { type IdentityExtractor } from '../../../src/auth/identity.js';
import { TokenVerifier } from '../../../src/auth/token-verifier.js';
import { loadSettings } from '../../../src/config/settings.js';
import { CatalogueService } from '../../../src/catalogue/index.js';
import { ExecutionService } from '../../../src/execution/execution.service.js';
import { PoolKey } from '../../../src/session-pool/index.js';
import { countFrom, median, type SeedReplica, SeedWorld } from '../../support/seeds.js';
import { startOneUrl } from '../../support/seeds-one-url.js';
import { bearer } from '../../support/tokens.js';
import { until } from '../../support/until.js';

/* The first file of seeds, without what comes with later issues: SPEC P-1, P-2, P-3, P-6, P-10, P-12, P-17 and G-7. */

let world: SeedWorld;

beforeEach(() => {
  world = new SeedWorld();
});

afterEach(() => world.close());

describe('TestIdentityExtractorE2E', () => {
  it('test_rotating_tokens_same_user_identity', async () => {
    const server = await world.server();
    const replica = await world.replica();
    await replica.add(server, 'streamablehttp');
    const seen = countFrom(server);
    const [first, rotated, other] = [await bearer('123'), await bearer('123'), await bearer('456')];
    expect(first).not.toEqual(rotated);

    const before = await replica.whoami('http-whoami', first);
    const after = await replica.whoami('http-whoami', rotated);
    expect(after.sessionId).toBe(before.sessionId);
    expect(seen.initialize).toBe(1);

    const foreign = await replica.whoami('http-whoami', other);
    expect(foreign.sessionId).not.toBe(before.sessionId);
    expect(seen.initialize).toBe(2);
    expect(replica.keys.map(({ identity }) => identity)).not.toContain('anonymous');
    expect(replica.metrics.anonymousIdentityCount).toBe(0);
  });

  it('test_identity_extractor_failure_falls_back_safely', async () => {
    const server = await world.server();
    const replica = await world.replica();
    await replica.add(server, 'streamablehttp');
    const seen = countFrom(server);
    const [first, second] = [await bearer('123'), await bearer('123')];
    const whoami = caller(replica, () => {
      throw new Error(`cannot read ${first.authorization}`);
    });

    // The headers decide now: a token is an identity of its own, and the same token keeps its session.
    const own = await whoami(first);
    expect(await whoami(second)).not.toBe(own);
    expect(await whoami(first)).toBe(own);
    expect(seen.initialize).toBe(2);
    expect(replica.metrics).toMatchObject({ hits: 1, misses: 2, anonymousIdentityCount: 0 });
    const log = JSON.stringify(replica.replica.logLines);
    expect(log).toContain('identity extractor threw');
    expect(log).not.toContain(first.authorization);
  });
});

/** Calls as the edge does, with an identity extractor of the test's own; answers with the session at the server. */
function caller({ replica }: SeedReplica, extract: IdentityExtractor): (headers: Headers) => Promise<string> {
  const { app, settings } = replica;
  const access = new AccessService(settings, app.get(TokenVerifier), extract);
  const params = Buffer.from(JSON.stringify({ name: 'http-whoami', arguments: {} }));
  return async (headers) => {
    const principal = await access.admit(headers, 'mcp:use');
    const context = { caller: access.callerOf(principal, headers), view: app.get(CatalogueService).all };
    const { raw } = await app.get(ExecutionService).execute('tools/call', params, context);
    const { content } = JSON.parse(raw.toString('utf8')) as { content: [{ text: string }] };
    return (JSON.parse(content[0].text) as { sessionId: string }).sessionId;
  };
}

type Headers = Record<string, string>;

describe('TestTransportIsolationE2E', () => {
  it('test_same_url_identity_different_transport_separate_pools', async () => {
    const server = await world.server();
    const replica = await world.replica();
    const { url, close } = await startOneUrl(server);
    world.atEnd(close);
    await replica.register('http', url, 'streamablehttp');
    await replica.register('sse', url, 'sse');
    const seen = countFrom(server);
    const user = await bearer('ann');

    const sessions = [
      (await replica.whoami('sse-whoami', user)).sessionId,
      (await replica.whoami('http-whoami', user)).sessionId,
    ];
    expect(new Set(sessions).size).toBe(2);
    expect(seen.initialize).toBe(2);

    const [sse, http] = replica.keys.sort((a, b) => a.transport.localeCompare(b.transport));
    expect(sse).toMatchObject({ url, transport: 'sse' });
    expect(http).toMatchObject({ url, transport: 'streamablehttp', identity: sse?.identity, user: sse?.user });
  });
});

describe('TestIdleEvictionE2E', () => {
  it('test_idle_pool_key_evicted', async () => {
    const server = await world.server();
    const replica = await world.replica({ MCP_SESSION_POOL_IDLE_EVICTION: '0.05' });
    await replica.add(server, 'streamablehttp');
    const seen = countFrom(server);
    const user = await bearer('ann');

    await replica.call('http-echo', { text: 'one' }, user);
    await until(() => seen.deletes === 1, { what: 'the server sees the idle session end' });
    await until(() => replica.metrics.poolKeyCount === 0, { what: 'the key is gone' });
    expect(replica.metrics.poolKeysEvicted).toBe(1);
    expect(server.sessions()).toEqual([]);

    await replica.call('http-echo', { text: 'two' }, user);
    expect(seen.initialize).toBe(2);
  });

  it('test_stale_sessions_reaped_via_metrics', async () => {
    const server = await world.server();
    const replica = await world.replica({ MCP_SESSION_POOL_TTL: '0.5' });
    await replica.add(server, 'streamablehttp');
    const seen = countFrom(server);
    const user = await bearer('ann');

    await replica.call('http-echo', { text: 'one' }, user);
    expect(replica.metrics).toMatchObject({ sessionsReaped: 0, totalSessions: 1 });
    // Nobody calls: it is the timer that looks (P-10).
    await until(() => seen.deletes === 1, { what: 'the server sees the expired session end' });
    await until(() => replica.metrics.totalSessions === 0, { what: 'the slot is free' });
    expect(replica.metrics).toMatchObject({ sessionsReaped: 1, terminated: 1, orphaned: 0 });
    expect(server.sessions()).toEqual([]);
  });
});

describe('TestExplicitHealthRPCE2E', () => {
  it('test_explicit_health_rpc_default_off', () => {
    expect(loadSettings({}).MCP_SESSION_POOL_EXPLICIT_HEALTH_RPC).toBe(false);
  });

  it('test_explicit_health_rpc_toggle_behavior', async () => {
    const server = await world.server();
    const off = await world.replica();
    const on = await world.replica({ MCP_SESSION_POOL_EXPLICIT_HEALTH_RPC: 'true', HEALTH_CHECK_TIMEOUT: '0.5' });
    const { id } = await off.add(server, 'streamablehttp');
    const seen = countFrom(server);

    expect(await off.checkGateway(id)).toMatchObject({ healthy: true });
    expect(seen.of('tools/list')).toBe(0);
    expect(await on.checkGateway(id)).toMatchObject({ healthy: true });
    expect(seen.of('tools/list')).toBe(1);

    // It has a limit: a server that never answers it is unhealthy in time, and healthy for who does not ask.
    server.faults.stall = 'tools/list';
    const started = performance.now();
    expect(await on.checkGateway(id)).toMatchObject({ healthy: false, reason: 'timeout' });
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(seen.of('tools/list')).toBe(2);
    expect(await off.checkGateway(id)).toMatchObject({ healthy: true });
  });
});

describe('TestPoolMetricsE2E', () => {
  it('test_metrics_reflect_pool_behavior', async () => {
    const server = await world.server();
    const replica = await world.replica();
    await replica.add(server, 'streamablehttp');
    const seen = countFrom(server);
    expect(replica.metrics).toMatchObject({ hits: 0, misses: 0, hitRate: 0, poolKeyCount: 0 });

    await replica.call('http-echo', { text: 'a miss' }, await bearer('user1'));
    expect(replica.metrics).toMatchObject({ hits: 0, misses: 1 });

    await replica.call('http-echo', { text: 'a hit' }, await bearer('user1'));
    expect(replica.metrics).toMatchObject({ hits: 1, misses: 1 });

    await replica.call('http-echo', { text: 'a miss' }, await bearer('user2'));
    expect(replica.metrics).toMatchObject({ hits: 1, misses: 2, poolKeyCount: 2, created: 2, totalLeased: 0 });
    expect(replica.metrics.hitRate).toBeCloseTo(1 / 3, 10);
    expect(seen.initialize).toBe(2);
  });

  it('test_circuit_breaker_metrics', async () => {
    const server = await world.server();
    const replica = await world.replica({
      MCP_SESSION_POOL_CIRCUIT_BREAKER_THRESHOLD: '2',
      MCP_SESSION_POOL_CIRCUIT_BREAKER_RESET: '1',
    });
    await replica.add(server, 'streamablehttp');
    const user = await bearer('ann');
    await server.stop();
    expect(await replica.errorOf('http-echo', user)).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    expect(replica.metrics.circuitBreakerTrips).toBe(0);
    expect(await replica.errorOf('http-echo', user)).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    expect(replica.metrics.circuitBreakerTrips).toBe(1);

    // Open: the server is back, and is left alone until the reset time is over.
    await server.start();
    const seen = countFrom(server);
    const refused = await replica.errorOf('http-echo', user);
    expect(refused).toMatchObject({ code: 'CIRCUIT_OPEN', retryable: true });
    expect(refused['retryAfterMs']).toBeGreaterThan(0);
    expect(refused['retryAfterMs']).toBeLessThanOrEqual(1_000);
    expect(replica.metrics.circuits).toMatchObject([{ gateway: 'http', failures: 2, state: 'open' }]);
    expect(seen.initialize).toBe(0);

    // Half-open: one probe closes it.
    await until(() => replica.call('http-echo', { text: 'back' }, user), { what: 'the circuit closes' });
    expect(replica.metrics).toMatchObject({ circuitBreakerTrips: 1, circuits: [] });
    expect(seen.initialize).toBe(1);
  });
});

describe('TestSessionReusePerfE2E', () => {
  it('test_pool_hit_faster_than_miss', async () => {
    const server = await world.server();
    const replica = await world.replica();
    const { id } = await replica.add(server, 'streamablehttp');
    const seen = countFrom(server);
    server.faults.initializeDelayMs = 10;
    const { target } = await replica.gateway(id);
    const key = PoolKey.pooled({ userIdentity: 'ann', identityHash: 'ann' }, target);
    const acquire = (): Promise<number> => timed(() => replica.use(key, async () => undefined));

    const miss = await acquire();
    expect(miss).toBeGreaterThanOrEqual(9); // a timer of 10 ms may fire a little early
    const hit = median(await inTurn(51, acquire));
    expect(hit).toBeLessThan(miss);
    expect(hit).toBeLessThan(5);
    expect(seen.initialize).toBe(1);

    // The same as a user sees it, with HTTP before and behind the pool.
    const user = await bearer('ann');
    const call = (): Promise<number> => timed(() => replica.call('http-echo', { text: 'x' }, user));
    const firstCall = await call();
    expect(median(await inTurn(51, call))).toBeLessThan(firstCall);
    expect(seen.initialize).toBe(2);
  });
});

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

async function inTurn<T>(times: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let n = 0; n < times; n += 1) results.push(await work());
  return results;
}
