import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { SecretBox } from '../../src/common/secret-box.js';
import { createLog } from '../../src/logging/logger.js';
import { RedisService } from '../../src/redis/redis.service.js';
import { PoolKey } from '../../src/session-pool/index.js';
import { MemoryJournal, RedisJournal } from '../../src/session-pool/session-journal.js';
import { deferred } from '../support/deferred.js';
import { useOf } from '../support/pool-use.js';
import { freshKeyPrefix, redisUrl } from '../support/services.js';
import { until } from '../support/until.js';
import { endAll, makePool, PARAMS, pay, raw, targetOf, USER } from './pool-bare.support.js';
import { pooled, PoolWorld, tab } from './pool-world.support.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  await endAll();
  for (const end of ends.splice(0).reverse()) await end();
});

const box = new SecretBox([randomBytes(32).toString('base64')]);
const never = new AbortController().signal;

async function redisJournal() {
  const keyPrefix = freshKeyPrefix();
  const redis = new RedisService(redisUrl(), createLog({ LOG_LEVEL: 'silent', REPLICA_ID: 'test' }));
  redis.start();
  ends.push(() => redis.close());
  await until(() => redis.client?.status === 'ready', { what: 'Redis is connected' });
  return { journal: new RedisJournal({ replicaId: 'r1', keyPrefix }, redis, box), keyPrefix, redis };
}

describe('the two endings (P-11)', () => {
  it.each([
    ['drain, another replica may go on', true, 'drain', 1],
    ['drain, nobody may', false, 'drain', 2],
    ['close', true, 'close', 2],
  ] as const)(
    '%s: bound sessions are detached or terminated, pooled ones terminated',
    async (_w, detach, how, deletes) => {
      const server = await raw(() => ({}));
      const journal = new MemoryJournal();
      const { pool } = makePool({ detachAtDrain: detach }, journal);
      await pay(pool, targetOf(server), { bound: true });
      await pay(pool, targetOf(server));
      expect(journal.entries.size).toBe(2);
      const ending = how === 'drain' ? pool.drain(1_000) : pool.close();
      expect([pool.drain(1), pool.close()]).toEqual([ending, ending]); // remembered
      await ending;
      expect(server.count['DELETE']).toBe(deletes);
      expect(pool.getMetrics()).toMatchObject({ created: 2, terminated: deletes, detached: 2 - deletes, orphaned: 0 });
      expect([...journal.entries.values()].map(({ boundTo }) => boundTo)).toEqual(deletes === 1 ? ['hash'] : []);
      await expect(pay(pool, targetOf(server))).rejects.toMatchObject({ code: 'POOL_CLOSED' });
    },
  );

  it('a downstream session that ended before the drain leaves nothing behind, even with a call in flight', async () => {
    const server = await raw(() => ({}));
    const { pool } = makePool({ detachAtDrain: true });
    const [entered, finish] = [deferred<void>(), deferred<void>()];
    const use = useOf(PoolKey.bound('user', 'hash', targetOf(server)), { sessionHash: 'hash' });
    const call = pool.use(use, async () => (entered.resolve(), finish.promise), never);
    await entered.promise;
    pool.endDownstream('hash');
    const drained = pool.drain(5_000);
    finish.resolve();
    await Promise.all([call, drained]);
    expect([server.count['DELETE'], pool.getMetrics().detached]).toEqual([1, 0]);
  });

  it('a call that outlives the grace of a drain is cut off, and its bound session is left for who goes on', async () => {
    const server = await raw(() => undefined);
    const { pool } = makePool({ detachAtDrain: true });
    const use = useOf(PoolKey.bound('user', 'hash', targetOf(server)), { sessionHash: 'hash' });
    const call = pool.use(use, (session) => session.request('tools/call', PARAMS), never);
    call.catch(() => undefined);
    await until(() => server.count['tools/call'] === 1, { what: 'the call is there' });
    await pool.drain(10);
    await expect(call).rejects.toMatchObject({ code: 'UPSTREAM_INTERRUPTED', execution: 'unknown' });
    expect([server.count['DELETE'], pool.getMetrics().detached]).toEqual([undefined, 1]);
  });
});

describe('the end of a service (P-11, A-10)', () => {
  it.each([
    ['with Redis, bound sessions are left at their servers, and their entries in the journal', true],
    ['without Redis everything is terminated', false],
  ] as const)('%s', async (_what, withRedis) => {
    const world = new PoolWorld();
    ends.push(() => world.close());
    const server = await world.server();
    const prefix = freshKeyPrefix();
    const replica = await world.replica(withRedis ? { REDIS_URL: redisUrl(), REDIS_KEY_PREFIX: prefix } : {});
    if (withRedis) {
      const redis = replica.app.get(RedisService);
      await until(() => redis.client?.status === 'ready', { what: 'Redis is connected' });
    }
    await world.gateway(replica, 'gw', server.mcpUrl);
    await (await tab(replica)).must('gw-echo', { text: 'bound' });
    await pooled(replica).must('gw-echo', { text: 'pooled' });
    expect(server.stats.openSessions).toBe(2);
    await replica.close();
    expect(server.stats.openSessions).toBe(withRedis ? 1 : 0);
    const reader = new Redis(redisUrl());
    ends.push(() => reader.disconnect());
    expect(await reader.hlen(`${prefix}journal:${replica.settings.REPLICA_ID}`)).toBe(withRedis ? 1 : 0);
  });
});

describe('the journal (A-9)', () => {
  it('stands in Redis, sealed, before the first use; goes with the session, and stays with a detached one', async () => {
    const { journal, keyPrefix } = await redisJournal();
    const server = await raw(() => ({}));
    const { pool } = makePool({ detachAtDrain: true }, journal);
    const reader = new Redis(redisUrl());
    ends.push(() => reader.disconnect());
    const seen = await pool.use(
      useOf(PoolKey.pooled(USER, targetOf(server))),
      async (session) => ({ id: session.sessionId, stored: await reader.hgetall(`${keyPrefix}journal:r1`) }),
      never,
    );
    expect(Object.keys(seen.stored)).toHaveLength(1);
    expect(JSON.stringify(seen.stored)).not.toContain(seen.id);
    const [entry] = (await journal.entriesOf('r1')).values();
    expect(entry).toMatchObject({ gatewayId: 'g', transport: 'streamablehttp', sessionId: seen.id });
    expect(Date.now() - (entry?.openedAt ?? 0)).toBeLessThan(60_000);

    await pay(pool, targetOf(server), { bound: true });
    await pool.drain(1_000);
    const left = [...(await journal.entriesOf('r1')).values()];
    expect(left).toEqual([expect.objectContaining({ boundTo: 'hash', sessionId: 'raw-2' })]);
  });

  it('an entry that was moved to another replica does not open', async () => {
    const { journal, keyPrefix } = await redisJournal();
    await journal.write({ gatewayId: 'g', transport: 'streamablehttp', sessionId: 'x' });
    const reader = new Redis(redisUrl());
    ends.push(() => reader.disconnect());
    await reader.rename(`${keyPrefix}journal:r1`, `${keyPrefix}journal:r2`);
    expect((await journal.entriesOf('r2')).size).toBe(0);
  });

  it('a server without sessions has no entry: nobody could end what has no id', async () => {
    const journal = new MemoryJournal();
    const server = await raw(() => ({}), { stateless: true });
    const { pool } = makePool({}, journal);
    await pay(pool, targetOf(server));
    expect([pool.numbers.total, journal.entries.size]).toEqual([1, 0]);
  });

  it('Redis away: no call fails, it is counted, and Redis has it when it is back', async () => {
    const { journal, redis } = await redisJournal();
    const server = await raw(() => ({}));
    const { pool } = makePool({}, journal);
    redis.client?.disconnect();
    await until(() => redis.client?.status === 'end', { what: 'Redis is away' });
    await pay(pool, targetOf(server));
    expect(pool.getMetrics().journalLate).toBe(1);
    await redis.client?.connect();
    await until(async () => (await journal.sync(), (await journal.entriesOf('r1')).size === 1), {
      what: 'the entry is in Redis',
    });
    await pool.close();
    expect((await journal.entriesOf('r1')).size).toBe(0);
  });
});
