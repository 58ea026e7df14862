import { afterEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { freshKeyPrefix, redisUrl } from '../../test/support/services.js';
import { until } from '../../test/support/until.js';
import { GatewayLeader } from './gateway-leader.js';
import { type Locks, MemoryLocks } from './locks.js';
import { RedisLocks } from './redis-locks.js';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function leaderOn(locks: Locks): GatewayLeader {
  const leader = new GatewayLeader(locks, { ttlMs: 300 });
  cleanUps.push(() => leader.stop());
  return leader;
}

function redisLocks(keyPrefix: string): RedisLocks {
  const client = new Redis(redisUrl());
  cleanUps.push(() => client.quit());
  return new RedisLocks(client, { keyPrefix });
}

describe('GatewayLeader (G-7, N-1)', () => {
  it('leads alone without Redis, and tells those who come late', async () => {
    const leader = leaderOn(new MemoryLocks());
    const early: AbortSignal[] = [];
    leader.onLead((signal) => void early.push(signal));
    expect([leader.leading, early]).toEqual([false, []]);
    leader.start();
    await until(() => leader.leading, { what: 'leading' });
    const late: AbortSignal[] = [];
    leader.onLead((signal) => void late.push(signal));
    expect([early.length, late.length]).toEqual([1, 1]);
    await leader.stop();
    expect([leader.leading, early[0]?.aborted, late[0]?.aborted]).toEqual([false, true, true]);
  });

  it('of two replicas one leads; when it stops the other does', async () => {
    const prefix = freshKeyPrefix();
    const leaders = [leaderOn(redisLocks(prefix)), leaderOn(redisLocks(prefix))];
    for (const leader of leaders) leader.start();
    const first = await until(() => leaders.find(({ leading }) => leading), { what: 'a leader' });
    const second = leaders.find((leader) => leader !== first);
    expect(second?.leading).toBe(false);
    await first.stop();
    await until(() => second?.leading, { what: 'the other leads' });
    expect(first.leading).toBe(false);
  });

  it('stopped before it began it never leads', async () => {
    const locks = new MemoryLocks();
    const leader = leaderOn(locks);
    const led: AbortSignal[] = [];
    leader.onLead((signal) => void led.push(signal));
    leader.start();
    await leader.stop();
    expect([leader.leading, led.filter(({ aborted }) => !aborted)]).toEqual([false, []]);
    expect(await locks.tryAcquire('leader:gateways')).toBeDefined();
  });
});
