import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { sha256Hex } from '../../../src/common/principal.js';
import { send } from '../../support/rpc.js';
import { countFrom, SeedWorld } from '../../support/seeds.js';
import { freshKeyPrefix, redisUrl } from '../../support/services.js';
import { bearer } from '../../support/tokens.js';
import { until } from '../../support/until.js';

/* The seeds about mappings of downstream sessions to bound upstream sessions: SPEC P-1, P-4, P-5. */

const TTL_SECONDS = 300;

let world: SeedWorld;
let redis: Redis;
let env: Record<string, string>;

beforeEach(() => {
  world = new SeedWorld();
  redis = new Redis(redisUrl());
  env = {
    REDIS_URL: redisUrl(),
    REDIS_KEY_PREFIX: freshKeyPrefix(),
    MCPGATEWAY_SESSION_AFFINITY_TTL: String(TTL_SECONDS),
  };
});

afterEach(async () => {
  await world.close();
  await redis.quit();
});

/** But for the locks and the journal of the replica itself. */
async function redisKeys(): Promise<string[]> {
  const keys = await redis.keys(`${env['REDIS_KEY_PREFIX']}*`);
  return keys.filter((key) => !/:(lock|journal):/.test(key));
}

describe('TestSessionAffinityE2E', () => {
  it('test_register_session_mapping_creates_affinity', async () => {
    const replica = await world.replica(env);
    const { mappings } = replica.pool;
    const [sessionId, url, gatewayId] = ['downstream-session-123', 'http://upstream:8080/mcp', 'gateway-abc'];
    await mappings.register(sessionId, url, gatewayId, 'streamablehttp', 'user@example.com');

    const user = sha256Hex('user@example.com');
    const key = [user, url, sha256Hex(sessionId), 'streamablehttp', gatewayId];
    expect(await mappings.find(sessionId, url, gatewayId, 'streamablehttp', user)).toEqual(key);

    // The same for all replicas, for as long as affinity lasts.
    const [name = '', ...others] = await redisKeys();
    expect(others).toEqual([]);
    expect(name).toContain(sessionId);
    expect(JSON.parse(String(await redis.get(name)))).toEqual(key);
    const ttl = await redis.pttl(name);
    expect(ttl).toBeGreaterThan((TTL_SECONDS - 30) * 1_000);
    expect(ttl).toBeLessThanOrEqual(TTL_SECONDS * 1_000);

    // It is one of this session, URL, transport, gateway and user, and of no other.
    const foreign: Parameters<typeof mappings.find>[] = [
      ['another-session', url, gatewayId, 'streamablehttp', user],
      [sessionId, `${url}/x`, gatewayId, 'streamablehttp', user],
      [sessionId, url, 'gateway-b', 'streamablehttp', user],
      [sessionId, url, gatewayId, 'sse', user],
      [sessionId, url, gatewayId, 'streamablehttp', sha256Hex('other@example.com')],
    ];
    for (const one of foreign) expect(await mappings.find(...one)).toBeUndefined();

    // Nothing but a session id gets into a key.
    for (const bad of ['', 'a:b', 'a*', 'x'.repeat(129)]) {
      const registering = mappings.register(bad, url, gatewayId, 'sse', 'user@example.com');
      await expect(registering).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    }
    expect(await redisKeys()).toEqual([name]);

    // The same by itself: the first tools/call of a client's session registers it, and its DELETE removes it (D-5, D-10).
    const server = await world.server();
    const { id } = await replica.add(server, 'streamablehttp');
    const session = await replica.session(await bearer('user@example.com'));
    await replica.ask('tools/list', {}, session);
    expect(await redisKeys()).toEqual([name]);
    expect(await replica.call('http-counter', {}, session)).toBe('1');
    const own = String(session['mcp-session-id']);
    const [ownKey = '', ...rest] = (await redisKeys()).filter((one) => one !== name);
    expect([ownKey.includes(own), rest]).toEqual([true, []]);
    expect(JSON.parse(String(await redis.get(ownKey)))).toEqual([
      ...[user, server.mcpUrl, sha256Hex(own), 'streamablehttp', id],
    ]);
    expect((await send('DELETE', `${replica.replica.url}/mcp`, session)).status).toBe(200);
    await until(async () => (await redisKeys()).length === 1, { what: 'the mapping is gone with its session' });
  });

  it('test_acquire_uses_preregistered_mapping', async () => {
    const server = await world.server();
    const [replica, second] = [await world.replica(env), await world.replica(env)];
    const { id } = await replica.add(server, 'sse');
    const user = 'testuser@example.com';
    const session = await replica.session(await bearer(user));
    const sessionId = String(session['mcp-session-id']);
    await replica.pool.mappings.register(sessionId, server.sseUrl, id, 'sse', user);
    const seen = countFrom(server);

    // A rotated token of the same user: the same upstream session, and what it remembers.
    expect(await replica.call('sse-counter', {}, session)).toBe('1');
    expect(await replica.call('sse-counter', {}, { ...session, ...(await bearer(user)) })).toBe('2');
    expect(seen.initialize).toBe(1);
    expect(replica.metrics).toMatchObject({ hits: 1, misses: 1, sessionAffinity: { localHits: 2, misses: 0 } });

    // Another replica reads it from Redis, for this user alone.
    const find = (who: string) => second.pool.mappings.find(sessionId, server.sseUrl, id, 'sse', sha256Hex(who));
    expect((await find(user))?.[2]).toBe(sha256Hex(sessionId));
    expect(await find('other@example.com')).toBeUndefined();
    expect(second.metrics.sessionAffinity).toMatchObject({ localHits: 0, redisHits: 1, misses: 1, hitRate: 0.5 });
  });

  it('test_session_affinity_disabled_ignores_mapping', async () => {
    const server = await world.server();
    const replica = await world.replica({ ...env, MCPGATEWAY_SESSION_AFFINITY_ENABLED: 'false' });
    const { id } = await replica.add(server, 'streamablehttp');
    const user = 'user@test.com';
    const session = await replica.session(await bearer(user));
    const sessionId = String(session['mcp-session-id']);
    const { mappings } = replica.pool;

    await mappings.register(sessionId, server.mcpUrl, id, 'streamablehttp', user);
    expect(mappings.size).toBe(0);
    expect(await mappings.find(sessionId, server.mcpUrl, id, 'streamablehttp', sha256Hex(user))).toBeUndefined();
    expect(await redisKeys()).toEqual([]);

    // Bound sessions exist all the same (P-4).
    expect(await replica.call('http-counter', {}, session)).toBe('1');
    expect(await replica.call('http-counter', {}, session)).toBe('2');
    expect(await redisKeys()).toEqual([]);
    expect(replica.metrics.sessionAffinity).toMatchObject({ localHits: 0, redisHits: 0, misses: 0 });
  });

  it('test_different_session_ids_different_pools', async () => {
    const server = await world.server();
    const replica = await world.replica(env);
    const { id } = await replica.add(server, 'streamablehttp');
    const { mappings } = replica.pool;
    const keyOf = async (sessionId: string, user: string) => {
      await mappings.register(sessionId, server.mcpUrl, id, 'streamablehttp', user);
      return mappings.find(sessionId, server.mcpUrl, id, 'streamablehttp', sha256Hex(user));
    };
    const keyA = await keyOf('session-user-A', 'userA@example.com');
    const keyB = await keyOf('session-user-B', 'userB@example.com');
    expect(keyA?.[2]).toBe(sha256Hex('session-user-A'));
    expect(keyB?.[2]).toBe(sha256Hex('session-user-B'));
    expect(await keyOf('session-user-A', 'userA@example.com')).toEqual(keyA);

    // Two sessions of two users, and two of one user: a server that counts tells each its own count.
    const seen = countFrom(server);
    const open = async (user: string) => replica.session(await bearer(user));
    const [a, b, tab1, tab2] = [await open('userA'), await open('userB'), await open('userC'), await open('userC')];
    const counts: string[] = [];
    for (const session of [a, a, b, tab1, tab1, tab1, tab2, a, b, tab2]) {
      counts.push(await replica.call('http-counter', {}, session));
    }
    expect(counts).toEqual(['1', '2', '1', '1', '2', '3', '1', '3', '2', '2']);
    expect(seen.initialize).toBe(4);
    expect(new Set(replica.keys.map(({ identity }) => identity)).size).toBe(4);
  });
});
