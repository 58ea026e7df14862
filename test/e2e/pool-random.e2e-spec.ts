import { afterAll, describe, expect, it, jest } from '@jest/globals';
import { CodedError } from '../../src/common/errors.js';
import { sha256Hex } from '../../src/common/principal.js';
import { PoolKey, type PoolUse, type Target, type UpstreamSession } from '../../src/session-pool/index.js';
import { type McpTestServer } from '../support/mcp-server.js';
import { figures, poolOf, PoolWorld } from './pool-world.support.js';
import { random } from '../support/random.js';
import { useOf } from '../support/pool-use.js';

const OPERATIONS = 500;

const world = new PoolWorld();
afterAll(() => world.close());

jest.setTimeout(120_000);

describe('500 random operations on the real pool with real servers (P-4, P-6 to P-9, P-14)', () => {
  it.each([
    ['streamablehttp', 1],
    ['streamablehttp', 2],
    ['sse', 3],
  ] as const)('%s, seed %i: caps hold, every call ends, everything opened is terminated', async (transport, seed) => {
    const servers = [await world.server(), await world.server({ jsonResponse: true })];
    const replica = await world.replica({
      MCP_SESSION_POOL_MAX_PER_KEY: '2',
      MCP_SESSION_POOL_MAX_TOTAL_SESSIONS: '10',
      MCP_SESSION_POOL_MAX_PER_GATEWAY: '6',
      MCP_SESSION_POOL_ACQUIRE_TIMEOUT: '2',
      MCP_SESSION_POOL_TTL: '0.3',
      MCP_SESSION_POOL_CIRCUIT_BREAKER_THRESHOLD: '1000',
    });
    const pool = poolOf(replica);
    const next = random(seed);
    const below = (limit: number): number => Math.floor(next() * limit);
    const targets = servers.map((server, index) => targetOf(server, transport, `gw-${index}`));
    const running = new Map<AbortController, Promise<void>>();
    const outcomes: Record<string, number> = {};
    const note = (what: string): void => void (outcomes[what] = (outcomes[what] ?? 0) + 1);
    const ended = new Set<string>();

    const call = (): void => {
      const use = callOf(targets[below(2)] as Target, below(6), ended, {
        bind: next() < 0.4,
        repeatable: next() < 0.5,
      });
      const limit = new AbortController();
      const params = next() < 0.8 ? ECHO : SLOW;
      const work = (session: UpstreamSession): Promise<unknown> =>
        session.request('tools/call', params, { signal: limit.signal });
      const done = pool.use(use, work, limit.signal).then(
        () => note('ok'),
        (error: unknown) => note((error as { code?: string }).code ?? `?${String(error)}`),
      );
      running.set(
        limit,
        done.finally(() => running.delete(limit)).then(() => undefined),
      );
    };

    for (let step = 0; step < OPERATIONS; step += 1) {
      const dice = next();
      const server = servers[below(2)] as McpTestServer;
      if (dice < 0.75) call();
      else if (dice < 0.83) [...running.keys()][below(running.size)]?.abort(new CodedError('CANCELLED', 'given up'));
      else if (dice < 0.88) server.dropSessions();
      else if (dice < 0.9) server.cutStreams('post');
      else if (dice < 0.92) server.cutStreams('get');
      else if (dice < 0.95) pool.evictGateway(`gw-${below(2)}`);
      else if (dice < 0.98) {
        const hash = sessionHash(below(6), ended);
        ended.add(hash);
        pool.endDownstream(hash);
      } else if (dice < 0.99) pool.evictAll();
      else await Promise.race(running.values());
      if (next() < 0.5) await new Promise(setImmediate);
      const { total } = pool.numbers;
      expect(total).toBeLessThanOrEqual(10);
    }
    await Promise.all(running.values());

    const { leased, waiting, opening } = pool.numbers;
    expect([leased - pool.bound.size, waiting, opening]).toEqual([0, 0, 0]);
    await replica.close();
    for (const server of servers) {
      await server.waitFor(({ openSessions, getStreams, sockets }) => openSessions + getStreams + sockets === 0);
    }
    const { created, terminated, orphaned, repeats } = pool.getMetrics();
    figures(`${OPERATIONS} operations, ${transport}, seed ${seed}`, {
      ...outcomes,
      ...{ opened: created, terminated, orphaned, repeats },
      'initialize at the servers': servers.reduce((sum, { stats }) => sum + stats.initialize, 0),
      'left there': servers.reduce((sum, { stats }) => sum + stats.openSessions, 0),
    });
    expect(terminated + orphaned).toBe(created);
    expect(outcomes['ok']).toBeGreaterThan(OPERATIONS / 4);
    expect(Object.keys(outcomes).filter((what) => what.startsWith('?') || what === 'INTERNAL')).toEqual([]);
  });
});

const ECHO = Buffer.from('{"name":"echo","arguments":{"text":"hello"}}');
const SLOW = Buffer.from('{"name":"slow","arguments":{"ms":20}}');

function targetOf(server: McpTestServer, transport: 'streamablehttp' | 'sse', gatewayId: string): Target {
  const url = transport === 'sse' ? server.sseUrl : server.mcpUrl;
  return { gatewayId, gatewayName: gatewayId, url, transport, credentials: { headers: () => ({}) } };
}

/** A tab that has ended never comes back: the next one has another id. */
function sessionHash(tab: number, ended: ReadonlySet<string>): string {
  let serial = 0;
  while (ended.has(sha256Hex(`tab-${tab}-${serial}`))) serial += 1;
  return sha256Hex(`tab-${tab}-${serial}`);
}

interface How {
  readonly bind: boolean;
  readonly repeatable: boolean;
}

function callOf(target: Target, who: number, ended: ReadonlySet<string>, { bind, repeatable }: How): PoolUse {
  const user = sha256Hex(`user-${who}`);
  if (!bind) return useOf(PoolKey.pooled({ userIdentity: user, identityHash: user }, target), { repeatable });
  const hash = sessionHash(who, ended);
  return useOf(PoolKey.bound(user, hash, target), { repeatable, sessionHash: hash });
}
