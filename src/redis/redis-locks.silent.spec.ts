import { expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { startRedis } from '../../test/support/services.js';
import { RedisLocks } from './redis-locks.js';

/** A Redis that was connected and said nothing held up whoever asked for a lock, for ever: refreshes, and the end. */
it('G-6: a Redis that is connected and silent is away: nobody waits for its answer', async () => {
  const server = await startRedis();
  const client = new Redis(server.url);
  try {
    const locks = new RedisLocks(client, { keyPrefix: 't:' });
    await (await locks.tryAcquire('a', 1_000))?.release();
    await client.call('CLIENT', 'PAUSE', '60000', 'ALL');
    const started = performance.now();
    await expect(locks.tryAcquire('a', 1_000)).rejects.toThrow('Redis did not answer in 1000 ms');
    await expect(locks.acquire('a', 1_000, new AbortController().signal)).rejects.toThrow('Redis did not answer');
    expect(performance.now() - started).toBeLessThan(4_000);
  } finally {
    client.disconnect();
    await server.stop();
  }
});
