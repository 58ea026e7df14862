import { afterEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { freshKeyPrefix, redisUrl, startRedis } from '../../test/support/services.js';
import { until } from '../../test/support/until.js';
import { type Locks, MemoryLocks } from './locks.js';
import { RedisLocks } from './redis-locks.js';

const TTL_MS = 300;
const never = new AbortController().signal;
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function client(url = redisUrl()): Redis {
  const redis = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0, retryStrategy: () => 50 });
  redis.on('error', () => undefined);
  cleanUps.push(() => redis.disconnect());
  return redis;
}

async function ready(redis: Redis): Promise<Redis> {
  await until(() => redis.status === 'ready', { what: 'Redis' });
  return redis;
}

interface Subject {
  readonly name: string;
  /** Two replicas (in memory: two users of the one). */
  readonly pair: () => Promise<[Locks, Locks]>;
}

const SUBJECTS: Subject[] = [
  {
    name: 'in memory',
    pair: async () => {
      const locks = new MemoryLocks();
      return [locks, locks];
    },
  },
  {
    name: 'in Redis',
    pair: async () => {
      const options = { keyPrefix: freshKeyPrefix(), pollMs: 10 };
      return [new RedisLocks(await ready(client()), options), new RedisLocks(await ready(client()), options)];
    },
  },
];

describe.each(SUBJECTS)('Locks $name (G-6, STYLE rule 13)', ({ pair }) => {
  it('one holds it; when it is given back the next one gets it; names are apart', async () => {
    const [a, b] = await pair();
    const lock = await a.tryAcquire('x', TTL_MS);
    expect(lock?.signal.aborted).toBe(false);
    expect(await b.tryAcquire('x', TTL_MS)).toBeUndefined();
    const other = await b.tryAcquire('y', TTL_MS);
    expect(other).toBeDefined();
    await lock?.release();
    const next = await b.tryAcquire('x', TTL_MS);
    expect(next).toBeDefined();
    await Promise.all([next?.release(), other?.release()]);
  });

  it('a second release gives nothing back that is somebody else’s', async () => {
    const [a, b] = await pair();
    const lock = await a.tryAcquire('x', TTL_MS);
    await lock?.release();
    const next = await b.tryAcquire('x', TTL_MS);
    await lock?.release();
    expect(await a.tryAcquire('x', TTL_MS)).toBeUndefined();
    await next?.release();
  });

  it('acquire() waits for it, and never has two hold it', async () => {
    const [a, b] = await pair();
    let holders = 0;
    let most = 0;
    const turn = async (locks: Locks): Promise<void> => {
      const lock = await locks.acquire('x', TTL_MS, never);
      most = Math.max(most, (holders += 1));
      await new Promise((resolve) => setImmediate(resolve));
      holders -= 1;
      await lock.release();
    };
    await Promise.all([a, b, a, b, a, b].map(turn));
    expect(most).toBe(1);
  });

  it('who gives up waiting leaves nothing behind', async () => {
    const [a, b] = await pair();
    const lock = await a.tryAcquire('x', TTL_MS);
    const giveUp = new AbortController();
    const waiting = b.acquire('x', TTL_MS, giveUp.signal);
    giveUp.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(b.acquire('x', TTL_MS, giveUp.signal)).rejects.toThrow('enough');
    await lock?.release();
    const next = await a.tryAcquire('x', TTL_MS);
    expect(next).toBeDefined();
    await next?.release();
  });
});

describe('RedisLocks', () => {
  it('holds longer than its TTL, because it is renewed', async () => {
    const [a, b] = await (SUBJECTS[1] as Subject).pair();
    const lock = await a.tryAcquire('x', 60);
    const since = performance.now();
    await until(
      async () => {
        expect(await b.tryAcquire('x', 60)).toBeUndefined();
        return performance.now() - since > 300;
      },
      { what: 'five lives' },
    );
    expect(lock?.signal.aborted).toBe(false);
    await lock?.release();
  });

  it('a lock that somebody else has got meanwhile is lost, and is left to him', async () => {
    const keyPrefix = freshKeyPrefix();
    const redis = await ready(client());
    const lock = await new RedisLocks(redis, { keyPrefix }).tryAcquire('x', 90);
    await redis.set(`${keyPrefix}lock:x`, 'somebody else');
    await until(() => lock?.signal.aborted, { what: 'the loss' });
    await lock?.release();
    expect(await redis.get(`${keyPrefix}lock:x`)).toBe('somebody else');
  });

  it('while Redis is away it is lost when its time is over, not before; and nobody gets one', async () => {
    const server = await startRedis();
    cleanUps.push(() => server.stop());
    const locks = new RedisLocks(await ready(client(server.url)), { keyPrefix: 'p:' });
    const started = performance.now();
    const lock = await locks.tryAcquire('x', 600);
    await server.kill();
    await until(() => lock?.signal.aborted, { what: 'the loss' });
    expect(performance.now() - started).toBeGreaterThanOrEqual(599);
    await expect(locks.tryAcquire('y', 600)).rejects.toThrow();
    await lock?.release();
  });

  it('one of a replica that died is free after its TTL', async () => {
    const options = { keyPrefix: freshKeyPrefix(), pollMs: 10 };
    const dying = await ready(client());
    await new RedisLocks(dying, options).tryAcquire('x', 150);
    dying.disconnect(); // as a crash: nothing is given back, nothing renewed
    const heir = new RedisLocks(await ready(client()), options);
    expect(await heir.tryAcquire('x', 150)).toBeUndefined();
    const lock = await heir.acquire('x', 150, AbortSignal.timeout(5_000));
    await lock.release();
  });
});
