import { afterEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { freshKeyPrefix, type RedisServer, redisUrl, startRedis } from '../../test/support/services.js';
import { until } from '../../test/support/until.js';
import { Leadership } from './leadership.js';
import { type Locks, MemoryLocks } from './locks.js';
import { RedisLocks } from './redis-locks.js';

const TTL_MS = 300;
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

class Candidate {
  readonly terms: AbortSignal[] = [];
  readonly leadership: Leadership;

  constructor(locks: Locks) {
    const lead = (signal: AbortSignal): void => void this.terms.push(signal);
    this.leadership = new Leadership(locks, { name: 'leader:test', ttlMs: TTL_MS, lead });
    this.leadership.start();
    cleanUps.push(() => this.leadership.stop());
  }

  get leads(): boolean {
    return this.leadership.leading && this.terms.at(-1)?.aborted === false;
  }
}

function locksOn(url: string, keyPrefix: string): { locks: RedisLocks; client: Redis } {
  const client = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0, retryStrategy: () => 50 });
  client.on('error', () => undefined);
  cleanUps.push(() => client.disconnect());
  return { locks: new RedisLocks(client, { keyPrefix }), client };
}

async function ownRedis(): Promise<RedisServer> {
  const server = await startRedis();
  cleanUps.push(() => server.stop());
  return server;
}

describe('Leadership (N-1, G-7)', () => {
  it('without Redis the one replica leads; start() twice is one candidate', async () => {
    const candidate = new Candidate(new MemoryLocks());
    candidate.leadership.start();
    await until(() => candidate.leads, { what: 'the lead' });
    await candidate.leadership.stop();
    expect([candidate.terms.length, candidate.terms[0]?.aborted]).toEqual([1, true]);
  });

  it('of three exactly one leads; when it stops another one does at once', async () => {
    const prefix = freshKeyPrefix();
    const candidates = [1, 2, 3].map(() => new Candidate(locksOn(redisUrl(), prefix).locks));
    const leader = await until(() => candidates.find(({ leads }) => leads), { what: 'a leader' });
    expect(candidates.filter(({ leads }) => leads)).toEqual([leader]);
    await leader.leadership.stop();
    const next = await until(() => candidates.find(({ leads }) => leads), { what: 'the next' });
    expect(next).not.toBe(leader);
    expect(leader.terms[0]?.aborted).toBe(true);
  });

  it('the heir of one that died leads after the TTL', async () => {
    const prefix = freshKeyPrefix();
    const dying = locksOn(redisUrl(), prefix);
    const first = new Candidate(dying.locks);
    await until(() => first.leads, { what: 'the first' });
    const second = new Candidate(locksOn(redisUrl(), prefix).locks);
    dying.client.disconnect();
    await until(() => second.leads, { what: 'the second' });
    expect(first.leads).toBe(false); // it has noticed by itself: two never lead
  });

  it('Redis that comes late, goes and comes back: it leads whenever it can', async () => {
    const server = await ownRedis();
    await server.kill();
    const candidate = new Candidate(locksOn(server.url, 'p:').locks);
    await server.restart();
    await until(() => candidate.leads, { what: 'the lead' });
    await server.kill();
    await until(() => !candidate.leads, { what: 'its end' });
    await server.restart();
    await until(() => candidate.leads, { what: 'the lead again' });
    expect(candidate.terms.map(({ aborted }) => aborted)).toEqual([true, false]);
  });
});
