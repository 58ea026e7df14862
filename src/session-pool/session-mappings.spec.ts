import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { freshKeyPrefix, redisUrl, startRedis } from '../../test/support/services.js';
import { until } from '../../test/support/until.js';
import { ANONYMOUS, sha256Hex } from '../common/principal.js';
import { createLog } from '../logging/logger.js';
import { AffinityCounters } from '../metrics/affinity-counters.js';
import { RedisService } from '../redis/redis.service.js';
import { SessionMappings } from './session-mappings.js';

const URL_A = 'http://server.test/mcp';
const TTL_MS = 60_000;
const ann = sha256Hex('ann');
const silent = createLog({ LOG_LEVEL: 'silent', REPLICA_ID: 'test' });
const opened: { close(): unknown }[] = [];

let prefix: string;
let redis: Redis;

beforeEach(() => {
  prefix = freshKeyPrefix();
  redis = new Redis(redisUrl());
  opened.push({ close: () => redis.disconnect() });
});

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

/** As one replica has them; without `url` it knows no Redis. */
async function mappings(
  url?: string,
  enabled = true,
  ttlMs = TTL_MS,
): Promise<{ it: SessionMappings; counters: AffinityCounters }> {
  const service = new RedisService(url, silent);
  opened.push(service);
  service.start();
  if (url !== undefined) await until(() => service.client?.status === 'ready', { what: 'Redis is connected' });
  const counters = new AffinityCounters();
  return { it: new SessionMappings({ enabled, ttlMs, keyPrefix: prefix }, service, counters), counters };
}

const keys = (): Promise<string[]> => redis.keys(`${prefix}*`);

describe('SessionMappings (P-5)', () => {
  it('maps (session, URL, transport, gateway) to the key of the bound session', async () => {
    const { it: mapping, counters } = await mappings();
    await mapping.register('sid-1', URL_A, 'gw', 'streamablehttp', 'ann');
    const found = await mapping.find('sid-1', URL_A, 'gw', 'streamablehttp', ann);
    expect(found).toEqual([ann, URL_A, sha256Hex('sid-1'), 'streamablehttp', 'gw']);
    expect(await mapping.find('sid-1', URL_A, 'gw', 'sse', ann)).toBeUndefined();
    expect(await mapping.find('sid-1', `${URL_A}/2`, 'gw', 'streamablehttp', ann)).toBeUndefined();
    expect(await mapping.find('sid-1', URL_A, 'other', 'streamablehttp', ann)).toBeUndefined();
    expect(await mapping.find('sid-2', URL_A, 'gw', 'streamablehttp', ann)).toBeUndefined();
    expect(counters.snapshot()).toMatchObject({ localHits: 1, redisHits: 0, misses: 4 });
  });

  it("never gives another user's mapping away", async () => {
    const { it: mapping } = await mappings();
    await mapping.register('sid', URL_A, 'gw', 'sse', 'ann');
    for (const other of [sha256Hex('bob'), ANONYMOUS, '', 'ann']) {
      expect(await mapping.find('sid', URL_A, 'gw', 'sse', other)).toBeUndefined();
    }
    await mapping.register('open', URL_A, 'gw', 'sse', undefined);
    expect((await mapping.find('open', URL_A, 'gw', 'sse', ANONYMOUS))?.[0]).toBe(ANONYMOUS);
    expect(await mapping.find('open', URL_A, 'gw', 'sse', ann)).toBeUndefined();
  });

  it.each(['', 'a b', 'a:b', 'a/b', 'sid*', 'ä', 'sid\n', 'x'.repeat(129), '../x'])(
    'refuses the session id %j, in memory and in Redis',
    async (id) => {
      const { it: mapping } = await mappings(redisUrl());
      await expect(mapping.register(id, URL_A, 'gw', 'sse', 'ann')).rejects.toMatchObject({ code: 'BAD_REQUEST' });
      expect(await mapping.find(id, URL_A, 'gw', 'sse', ann)).toBeUndefined();
      expect([mapping.size, await keys()]).toEqual([0, []]);
    },
  );

  it('takes the longest id that there may be', async () => {
    const { it: mapping } = await mappings();
    await mapping.register('x'.repeat(128), URL_A, 'gw', 'sse', 'ann');
    expect(mapping.size).toBe(1);
  });

  it('off: nothing is stored, here or in Redis; a bad id is refused all the same', async () => {
    const { it: mapping, counters } = await mappings(redisUrl(), false);
    await mapping.register('sid', URL_A, 'gw', 'sse', 'ann');
    mapping.note(sha256Hex('sid'), [ann, URL_A, sha256Hex('sid'), 'sse', 'gw']);
    expect(await mapping.find('sid', URL_A, 'gw', 'sse', ann)).toBeUndefined();
    expect([mapping.size, await keys()]).toEqual([0, []]);
    expect(counters.snapshot()).toMatchObject({ localHits: 0, redisHits: 0, misses: 0 });
    await expect(mapping.register('a b', URL_A, 'gw', 'sse', 'ann')).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  it('a session that has ended leaves nothing in memory', async () => {
    const { it: mapping } = await mappings();
    await mapping.register('sid', URL_A, 'one', 'sse', 'ann');
    await mapping.register('sid', URL_A, 'two', 'sse', 'ann');
    mapping.forget(sha256Hex('sid'));
    expect(mapping.size).toBe(0);
    expect(await mapping.find('sid', URL_A, 'one', 'sse', ann)).toBeUndefined();
  });

  it('note() counts without waiting: a hit for the same user, else a miss', async () => {
    const { it: mapping, counters } = await mappings();
    const hash = sha256Hex('sid');
    await mapping.register('sid', URL_A, 'gw', 'sse', 'ann');
    mapping.note(hash, [ann, URL_A, hash, 'sse', 'gw']);
    mapping.note(hash, [ann, URL_A, hash, 'sse', 'other']);
    mapping.note(hash, [sha256Hex('bob'), URL_A, hash, 'sse', 'gw']);
    expect(counters.snapshot()).toMatchObject({ localHits: 1, misses: 2 });
  });
});

describe('SessionMappings with Redis (P-5)', () => {
  it('another replica finds it, for as long as the affinity lasts', async () => {
    const [one, two] = [await mappings(redisUrl()), await mappings(redisUrl())];
    await one.it.register('sid', `${URL_A}?key=secret`, 'gw', 'sse', 'ann');
    const found = await two.it.find('sid', `${URL_A}?key=secret`, 'gw', 'sse', ann);
    expect(found).toEqual([ann, `${URL_A}?key=secret`, sha256Hex('sid'), 'sse', 'gw']);
    expect(await two.it.find('sid', `${URL_A}?key=secret`, 'gw', 'sse', sha256Hex('bob'))).toBeUndefined();
    expect(two.counters.snapshot()).toMatchObject({ localHits: 0, redisHits: 1, misses: 1 });
    const [key] = await keys();
    expect(key).toMatch(/session_mapping:sid:[0-9a-f]{16}:sse:gw$/);
    const left = await redis.pttl(key as string);
    expect(left).toBeGreaterThan(TTL_MS - 10_000);
    expect(left).toBeLessThanOrEqual(TTL_MS);
  });

  it('A-1: the same mapping again writes nothing', async () => {
    const { it: mapping } = await mappings(redisUrl());
    await mapping.register('sid', URL_A, 'gw', 'sse', 'ann');
    await redis.del(await keys());
    await mapping.register('sid', URL_A, 'gw', 'sse', 'ann');
    expect(await keys()).toEqual([]);
  });

  it('A-1: use only marks; a timer renews what was used in Redis, and nothing else', async () => {
    const { it: mapping } = await mappings(redisUrl(), true, 300);
    await mapping.register('used', URL_A, 'gw', 'sse', 'ann');
    await mapping.register('unused', URL_A, 'gw', 'sse', 'ann');
    mapping.start();
    opened.push({ close: () => mapping.stop() });
    const use = (): void => mapping.note(sha256Hex('used'), [ann, URL_A, sha256Hex('used'), 'sse', 'gw']);
    const isThere = async (name: string): Promise<boolean> => (await keys()).some((key) => key.includes(`:${name}:`));
    await until(async () => !(await isThere('unused')), { what: 'the unused one has expired' });
    use();
    expect(await isThere('used')).toBe(false); // that wrote nothing
    await until(() => isThere('used'), { what: 'the timer has renewed it' });
    expect(await isThere('unused')).toBe(false);
    const [key] = await keys();
    expect(await redis.pttl(key as string)).toBeLessThanOrEqual(300);
  });

  it('what is not a mapping in Redis is none', async () => {
    const { it: mapping } = await mappings(redisUrl());
    await mapping.register('sid', URL_A, 'gw', 'sse', 'ann');
    const [key] = await keys();
    mapping.forget(sha256Hex('sid'));
    for (const garbage of [
      '{',
      'null',
      '"text"',
      '[]',
      '{"0":"x"}',
      JSON.stringify([ann]),
      JSON.stringify([ann, 'http://else.test/', 1, 2, 3]),
    ]) {
      await redis.set(key as string, garbage);
      expect(await mapping.find('sid', URL_A, 'gw', 'sse', ann)).toBeUndefined();
    }
  });

  it('Redis away is no failure: the mapping stands in memory', async () => {
    const server = await startRedis();
    opened.push({ close: () => server.stop() });
    const { it: mapping, counters } = await mappings(server.url);
    await server.stop();
    await mapping.register('sid', URL_A, 'gw', 'sse', 'ann');
    expect(await mapping.find('sid', URL_A, 'gw', 'sse', ann)).toBeDefined();
    expect(await mapping.find('unknown', URL_A, 'gw', 'sse', ann)).toBeUndefined();
    expect(counters.snapshot()).toMatchObject({ localHits: 1, misses: 1 });
  });

  it('a Redis that takes everything and answers nothing any more holds a call up for half a second at most', async () => {
    const server = await startRedis();
    opened.push({ close: () => server.stop() });
    const { it: mapping } = await mappings(server.url);
    const other = new Redis(server.url);
    opened.push({ close: () => other.disconnect() });
    await other.client('PAUSE', 60_000);
    const started = performance.now();
    await mapping.register('sid', URL_A, 'gw', 'sse', 'ann');
    expect(await mapping.find('sid', URL_A, 'gw', 'sse', ann)).toBeDefined();
    expect(await mapping.find('unknown', URL_A, 'gw', 'sse', ann)).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(3_000); // two waits, with room for a busy machine
  });
});
