import { afterEach, describe, expect, it } from '@jest/globals';
import { PoolKey } from '../../src/session-pool/index.js';
import { endAll, makePool, PARAMS, raw, targetOf } from './pool-bare.support.js';
import { figures, percentile } from './pool-world.support.js';
import { useOf } from '../support/pool-use.js';

const CALLS = 200;
const INITIALIZE_MS = 10;
const LIMIT_MS = 5;

afterEach(() => endAll());

describe('a server that takes 10 ms to initialize (P-6, P-17)', () => {
  it.each([true, false])(
    'a hit is spared that: median below 5 ms over 200 calls, one initialize (bound: %s)',
    async (bound) => {
      const server = await raw(() => ({}), { initializeDelayMs: INITIALIZE_MS });
      const { pool } = makePool();
      const target = targetOf(server);
      const timed = async (who: string): Promise<number> => {
        const key = bound
          ? PoolKey.bound(who, who, target)
          : PoolKey.pooled({ userIdentity: who, identityHash: who }, target);
        const use = useOf(key, bound ? { sessionHash: who } : {});
        const started = performance.now();
        await pool.use(use, (session) => session.request('tools/call', PARAMS), new AbortController().signal);
        return performance.now() - started;
      };

      const misses: number[] = [];
      for (let who = 0; who < 20; who += 1) misses.push(await timed(`user-${who}`));
      expect(server.count['initialize']).toBe(20);

      await timed('steady');
      const hits: number[] = [];
      for (let call = 0; call < CALLS; call += 1) hits.push(await timed('steady'));
      figures(`hit and miss, ${bound ? 'bound' : 'pooled'}, ms`, {
        'median hit': percentile(hits, 0.5),
        'p95 hit': percentile(hits, 0.95),
        'median miss': percentile(misses, 0.5),
        initialize: (server.count['initialize'] ?? 0) - 20,
      });
      expect(server.count['initialize']).toBe(21);
      expect(pool.getMetrics()).toMatchObject({ hits: CALLS, misses: 21 });
      expect(percentile(hits, 0.5)).toBeLessThan(LIMIT_MS);
      expect(percentile(hits, 0.5)).toBeLessThan(percentile(misses, 0.5));
      expect(Math.min(...misses)).toBeGreaterThanOrEqual(INITIALIZE_MS - 1); // a timer may fire a little early
    },
  );
});
