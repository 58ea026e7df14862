import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { sha256Hex } from '../../../src/common/principal.js';
import { PoolError, PoolKey, type Transport, type UpstreamSession } from '../../../src/session-pool/index.js';
import { countFrom, type SeedReplica, SeedWorld } from '../../support/seeds.js';
import { startOneUrl } from '../../support/seeds-one-url.js';
import { bearer } from '../../support/tokens.js';
import { until } from '../../support/until.js';

/* The second file of seeds: SPEC P-1, P-2, P-6, P-7, P-13, P-17, S-3; then what the file only says, with G-7. */

let world: SeedWorld;

beforeEach(() => {
  world = new SeedWorld();
});

afterEach(() => world.close());

const SIDES: readonly [name: 'http' | 'sse', Transport][] = [
  ['http', 'streamablehttp'],
  ['sse', 'sse'],
];

describe('TestCrossUserIsolation', () => {
  it('test_different_users_get_different_sessions', async () => {
    const server = await world.server();
    const replica = await world.replica();
    await replica.add(server, 'streamablehttp');
    const a = await replica.whoami('http-whoami', await bearer('user-a'));
    const b = await replica.whoami('http-whoami', await bearer('user-b'));
    expect(a.sessionId).not.toBe(b.sessionId);
    expect(new Set(replica.keys.map(({ identity }) => identity)).size).toBe(2);
    expect(server.sessions().sort()).toEqual([a.sessionId, b.sessionId].sort());
  });

  it('test_same_user_reuses_session', async () => {
    const server = await world.server();
    const replica = await world.replica();
    await replica.add(server, 'streamablehttp');
    const seen = countFrom(server);
    const first = await replica.whoami('http-whoami', await bearer('user'));
    const second = await replica.whoami('http-whoami', await bearer('user'));
    expect(second.sessionId).toBe(first.sessionId);
    expect(seen.initialize).toBe(1);
    expect(replica.metrics).toMatchObject({ hits: 1, misses: 1 });
  });

  it('test_user_cannot_access_other_user_session', async () => {
    const server = await world.server();
    const replica = await world.replica();
    await replica.add(server, 'streamablehttp');
    for (const user of ['user-a', 'user-b']) await replica.call('http-counter', {}, await bearer(user));
    const [a, b] = replica.keys;
    expect(b).toMatchObject({ url: a?.url, transport: a?.transport });
    expect(b?.identity).not.toBe(a?.identity);
    expect(b?.user).not.toBe(a?.user);

    // Not by its name either: to another user the session, and what it remembers, does not exist (S-3).
    const own = await replica.session(await bearer('user-a'));
    expect(await replica.call('http-counter', {}, own)).toBe('1');
    const stolen = { ...own, ...(await bearer('user-b')) };
    expect((await replica.ask('tools/call', { name: 'http-counter', arguments: {} }, stolen)).status).toBe(404);
    expect(await replica.call('http-counter', {}, own)).toBe('2');
  });
});

describe('TestConcurrentAccess', () => {
  it('test_concurrent_users_isolated', async () => {
    const server = await world.server();
    const replica = await world.replica();
    await replica.add(server, 'streamablehttp');
    const users = await Promise.all(numbers(10).map((n) => bearer(`user-${n}`)));
    const calls = users.map((user, n) => replica.call('http-gate', { text: `for ${n}` }, user));
    await server.waitFor((stats) => stats.atGate === 10); // all of them at once
    expect(server.stats.openSessions).toBe(10);
    expect(replica.metrics).toMatchObject({ poolKeyCount: 10, totalLeased: 10 });
    server.openGate();
    expect(await Promise.all(calls)).toEqual(numbers(10).map((n) => `for ${n}`));
  });

  it('test_high_concurrency_isolation', async () => {
    const max = 3;
    const server = await world.server();
    const replica = await world.replica({ MCP_SESSION_POOL_MAX_PER_KEY: String(max) });
    await replica.add(server, 'streamablehttp');
    const seen = countFrom(server);
    server.faults.initializeDelayMs = 100; // so that all are waiting before the first session is there
    const answers = await Promise.all(
      numbers(100).map(async (n) => {
        const user = `user-${n % 10}`;
        // Goes upstream with this very request, so the server's echo of it tells whose answer this is.
        const traceparent = `00-${String(n + 1).padStart(32, '0')}-00000000000000ff-01`;
        const { sessionId, headers } = await replica.whoami('http-whoami', { ...(await bearer(user)), traceparent });
        expect(headers['traceparent']).toBe(traceparent);
        return { user, sessionId };
      }),
    );
    const used = sessionsByUser(answers);
    expect(used.size).toBe(10);
    for (const sessions of used.values()) expect(sessions.size).toBeLessThanOrEqual(max);
    const all = [...used.values()].flatMap((sessions) => [...sessions]);
    expect(new Set(all).size).toBe(all.length); // no session served two users
    // One that was asked for and whose call another one has served may still be opening.
    await until(() => replica.metrics.created === seen.initialize, { what: 'every session that was begun is there' });
    expect(server.stats.maxOpenSessions).toBeLessThanOrEqual(10 * max);
    expect(replica.metrics).toMatchObject({ poolKeyCount: 10, totalLeased: 0, waiting: 0 });
  });

  it('the same where the server echoes the credential that it saw', async () => {
    const max = 3;
    const server = await world.server();
    const replica = await world.replica({ MCP_SESSION_POOL_MAX_PER_KEY: String(max) });
    const { id } = await replica.add(server, 'streamablehttp');
    const { target } = await replica.gateway(id);
    server.faults.initializeDelayMs = 20;
    const answers = await Promise.all(
      numbers(100).map(async (n) => {
        const user = `user-${n % 10}`;
        const authorization = `Bearer of ${user}`;
        const own = { ...target, credentials: { headers: () => ({ authorization }) } };
        const key = PoolKey.pooled({ userIdentity: sha256Hex(user), identityHash: sha256Hex(user) }, own);
        const seen = await replica.use(key, whoami);
        expect(seen.authorization).toBe(authorization);
        return { user, sessionId: seen.sessionId };
      }),
    );
    const used = sessionsByUser(answers);
    for (const sessions of used.values()) expect(sessions.size).toBeLessThanOrEqual(max);
    const all = [...used.values()].flatMap((sessions) => [...sessions]);
    expect(new Set(all).size).toBe(all.length);
    await server.waitFor((stats) => stats.maxOpenSessions >= 10 * max);
    expect(server.stats.maxOpenSessions).toBe(10 * max);
  });
});

describe('TestSessionLifecycle', () => {
  it('test_released_session_not_given_to_different_user', async () => {
    const server = await world.server();
    const replica = await world.replica({ MCP_SESSION_POOL_MAX_PER_KEY: '2' });
    await replica.add(server, 'streamablehttp');
    const seen = countFrom(server);
    const a = await replica.whoami('http-whoami', await bearer('user-a'));
    expect(replica.metrics).toMatchObject({ totalSessions: 1, totalLeased: 0 }); // released, and still there
    const b = await replica.whoami('http-whoami', await bearer('user-b'));
    expect(b.sessionId).not.toBe(a.sessionId);
    expect(seen.initialize).toBe(2);
  });

  it('test_session_reuse_same_identity_only', async () => {
    const server = await world.server();
    const replica = await world.replica({ AUTH_MODE: 'none', MCP_SESSION_POOL_MAX_PER_KEY: '2' });
    await replica.add(server, 'streamablehttp');
    const seen = countFrom(server);
    const identity = { authorization: 'Bearer token', 'x-tenant-id': 'tenant-1' };
    const sessionOf = async (headers: Record<string, string>): Promise<string> =>
      (await replica.whoami('http-whoami', headers)).sessionId;

    const own = await sessionOf(identity);
    expect(await sessionOf(identity)).toBe(own);
    expect(await sessionOf({ 'X-Tenant-ID': 'tenant-1', Authorization: 'Bearer token' })).toBe(own);
    expect(replica.metrics).toMatchObject({ hits: 2, misses: 1 });

    // Another tenant, another token, a part more or less: another identity.
    const others: Record<string, string>[] = [
      { ...identity, 'x-tenant-id': 'tenant-2' },
      { ...identity, authorization: 'Bearer other' },
      { ...identity, 'x-user-id': 'ann' },
      { authorization: 'Bearer token' },
      {},
    ];
    for (const other of others) expect(await sessionOf(other)).not.toBe(own);
    expect(replica.metrics).toMatchObject({ hits: 2, misses: 6, poolKeyCount: 6, anonymousIdentityCount: 1 });
    expect(seen.initialize).toBe(6);
  });

  it('one user in two tenants is two identities', async () => {
    const server = await world.server();
    const replica = await world.replica();
    await replica.add(server, 'streamablehttp');
    const sessionIn = async (tenant: string): Promise<string> =>
      (await replica.whoami('http-whoami', await bearer('ann', { tenant }))).sessionId;
    const own = await sessionIn('tenant-1');
    expect(await sessionIn('tenant-2')).not.toBe(own);
    expect(await sessionIn('tenant-1')).toBe(own);
  });
});

describe('TestTransportIsolation', () => {
  it('test_sse_and_streamable_http_isolated', async () => {
    const server = await world.server();
    const replica = await world.replica();
    const { url, close } = await startOneUrl(server);
    world.atEnd(close);
    const { target } = await replica.gateway((await replica.register('both', url, 'streamablehttp')).id);
    const seen = countFrom(server);
    const user = { userIdentity: sha256Hex('ann'), identityHash: sha256Hex('ann') };
    const [http, sse] = [PoolKey.pooled(user, target), PoolKey.pooled(user, { ...target, transport: 'sse' })];
    expect(sse.parts).toEqual([...http.parts.slice(0, 3), 'sse', http.parts[4]]);
    expect(http.parts.slice(0, 4)).toEqual([user.userIdentity, url, user.identityHash, 'streamablehttp']);

    const sessions = [];
    for (const key of [http, sse, http, sse]) sessions.push((await replica.use(key, whoami)).sessionId);
    expect(sessions[0]).not.toBe(sessions[1]);
    expect(sessions.slice(2)).toEqual(sessions.slice(0, 2));
    expect(seen.initialize).toBe(2);
    expect(replica.metrics).toMatchObject({ poolKeyCount: 2, hits: 2, misses: 2 });
  });

  it('test_transport_in_pool_key', async () => {
    const server = await world.server();
    const replica = await world.replica({ AUTH_MODE: 'none' });
    for (const [name, transport] of SIDES) {
      const { id } = await replica.add(server, transport);
      await replica.call(`${name}-echo`, { text: 'without any header' });
      const url = transport === 'sse' ? server.sseUrl : server.mcpUrl;
      const key = PoolKey.pooled(
        { userIdentity: 'anonymous', identityHash: 'anonymous' },
        (await replica.gateway(id)).target,
      );
      expect(key.parts).toEqual(['anonymous', url, 'anonymous', transport, id]);
      const inPool = { url, identity: 'anonymous', transport, user: 'anonymous', gateway: id.slice(0, 8) };
      expect(replica.keys).toContainEqual(inPool);
    }
    expect(replica.metrics.poolKeyCount).toBe(2);
  });
});

describe('TestPoolDisabledBehavior', () => {
  it('test_pool_not_initialized_raises', async () => {
    const { pool } = await world.replica({ MCP_SESSION_POOL_ENABLED: 'false' });
    expect(() => pool.requirePool()).toThrow(/not initialized/);
    expect(() => pool.requirePool()).toThrow(PoolError);
  });

  it('test_pool_enabled_then_disabled', async () => {
    const server = await world.server();
    const replica = await world.replica();
    const { id } = await replica.add(server, 'streamablehttp');
    const { target } = await replica.gateway(id);
    expect(replica.pool.requirePool()).toBe(replica.pool);
    await replica.call('http-echo', { text: 'x' }, await bearer('ann'));
    expect(server.sessions().length).toBe(1);

    await replica.replica.close();
    expect(server.sessions()).toEqual([]);
    expect(() => replica.pool.requirePool()).toThrow(/not initialized/);
    const key = PoolKey.pooled({ userIdentity: 'ann', identityHash: 'ann' }, target);
    await expect(replica.use(key, whoami)).rejects.toMatchObject({ code: 'POOL_CLOSED' });
  });
});

describe('TestPoolMetricsIsolation', () => {
  it('test_metrics_track_hits_and_misses_per_identity', async () => {
    const server = await world.server();
    const replica = await world.replica();
    await replica.add(server, 'streamablehttp');
    const seen = countFrom(server);
    for (const user of ['user-a', 'user-a', 'user-a', 'user-b', 'user-b']) {
      await replica.call('http-echo', { text: user }, await bearer(user));
    }
    expect(replica.metrics).toMatchObject({ hits: 3, misses: 2, poolKeyCount: 2 });
    const idle = { idle: 1, leased: 0, waiting: 0, max: 10 };
    expect(Object.values(replica.metrics.pools)).toEqual([idle, idle]);
    expect(seen.initialize).toBe(2);
  });
});

/* What the head of the file says, and none of its tests shows. */

describe('tools use the pool on both transports', () => {
  it.each(SIDES)('%s: many calls, one initialize', async (name, transport) => {
    const { replica, seen, user } = await oneGateway(transport);
    for (const text of ['a', 'b', 'c']) expect(await replica.call(`${name}-echo`, { text }, user)).toBe(text);
    expect(seen.initialize).toBe(1);
    expect(replica.metrics).toMatchObject({ hits: 2, misses: 1 });
  });
});

describe('resources use the pool on both transports', () => {
  it.each(SIDES)('%s: many reads, one initialize, the same session as calls', async (name, transport) => {
    const { replica, seen, user } = await oneGateway(transport);
    for (const which of ['one', 'two', 'one']) {
      const { json } = await replica.ask('resources/read', { uri: `test://static/${which}` }, user);
      expect(json.result?.['contents']).toMatchObject([{ text: `text of ${which}` }]);
    }
    await replica.call(`${name}-echo`, { text: 'x' }, user);
    expect(seen.of('resources/read')).toBe(3);
    expect(seen.initialize).toBe(1);
    expect(replica.metrics).toMatchObject({ hits: 3, misses: 1, poolKeyCount: 1 });
  });
});

describe('the health check uses the pool only for streamable HTTP', () => {
  it('http: checks share a session, which no user gets', async () => {
    const { server, replica, seen, user, id } = await oneGateway('streamablehttp');
    for (let n = 0; n < 3; n += 1) expect(await replica.checkGateway(id)).toMatchObject({ healthy: true });
    expect(seen.initialize).toBe(1);
    expect(server.sessions().length).toBe(1);
    expect(replica.metrics.poolKeyCount).toBe(1);
    const [healthSession] = server.sessions();
    const own = await replica.whoami('http-whoami', user);
    expect(own.sessionId).not.toBe(healthSession);
    expect(await replica.checkGateway(id)).toMatchObject({ healthy: true });
    expect(seen.initialize).toBe(2);
    expect(seen.deletes).toBe(0);
  });

  it('sse: each check opens and closes a stream of its own', async () => {
    const { server, replica, seen, user, id } = await oneGateway('sse');
    for (let n = 0; n < 3; n += 1) expect(await replica.checkGateway(id)).toMatchObject({ healthy: true });
    expect(seen.initialize).toBe(3);
    await server.waitFor((stats) => stats.openSessions === 0);
    expect(replica.metrics).toMatchObject({ poolKeyCount: 0, hits: 0, misses: 0 });

    await replica.call('sse-echo', { text: 'x' }, user);
    expect(await replica.checkGateway(id)).toMatchObject({ healthy: true });
    await server.waitFor((stats) => stats.openSessions === 1); // the user's, untouched
    expect(seen.initialize).toBe(5);
  });
});

describe('with the pool off each call has a session of its own', () => {
  it.each(SIDES)('%s: opened and ended for it', async (name, transport) => {
    const { server, replica, seen, user, id } = await oneGateway(transport, { MCP_SESSION_POOL_ENABLED: 'false' });
    const session = await replica.session(user);
    const used = new Set<string>();
    for (const headers of [user, user, session]) {
      used.add((await replica.whoami(`${name}-whoami`, headers)).sessionId);
      await server.waitFor((stats) => stats.openSessions === 0);
    }
    expect(used.size).toBe(3);
    await replica.ask('resources/read', { uri: 'test://static/one' }, user);
    await replica.checkGateway(id);
    await server.waitFor((stats) => stats.openSessions === 0);
    expect(seen.initialize).toBe(5);
    expect(seen.deletes).toBe(transport === 'sse' ? 0 : 5); // over SSE the end of the stream is the end
    expect(replica.metrics).toMatchObject({ hits: 0, misses: 0, poolKeyCount: 0, totalSessions: 0 });
  });
});

async function oneGateway(transport: Transport, env?: Record<string, string>) {
  const server = await world.server();
  const replica: SeedReplica = await world.replica(env);
  const { id } = await replica.add(server, transport);
  await server.waitFor((stats) => stats.openSessions === 0); // of registering
  return { server, replica, id, seen: countFrom(server), user: await bearer('ann') };
}

/** What the server saw of this request. */
async function whoami(session: UpstreamSession): Promise<{ sessionId: string; authorization?: string }> {
  const params = Buffer.from(JSON.stringify({ name: 'whoami', arguments: {} }));
  const { raw } = await session.request('tools/call', params);
  const { content } = JSON.parse(raw.toString('utf8')) as { content: [{ text: string }] };
  return JSON.parse(content[0].text) as { sessionId: string; authorization?: string };
}

function sessionsByUser(answers: readonly { user: string; sessionId: string }[]): Map<string, Set<string>> {
  const used = new Map<string, Set<string>>();
  for (const { user, sessionId } of answers) used.set(user, (used.get(user) ?? new Set()).add(sessionId));
  return used;
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}
