import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { DataSource } from 'typeorm';
import { RedisLocks } from '../../src/redis/redis-locks.js';
import { HttpLine, TcpLine } from '../support/lines.js';
import { type McpTestServer } from '../support/mcp-server.js';
import { random } from '../support/random.js';
import { RawClient } from '../support/raw-client.js';
import { type Replica } from '../support/replica.js';
import { register } from '../support/rpc.js';
import { freshKeyPrefix, redisUrl } from '../support/services.js';
import { until } from '../support/until.js';
import { notifications, NotificationWorld, percentile, settled } from './notification.support.js';
import { figures } from './pool-world.support.js';

/** `npm run soak:changes` makes it 200 rounds, with cuts of a second. */
const ROUNDS = Number(process.env['SOAK_CHANGES_ROUNDS'] ?? 20);
const CUT_MS = Number(process.env['SOAK_CHANGES_CUT_MS'] ?? 250);
const SEED = Number(process.env['SOAK_SEED'] ?? 20_260_101);
const CHANGES = 20;
const BURST_MS = 600;
/** After a cut: the stream comes back after 1 s and more, then a pass; on a machine that does a lot of other things. */
const LATEST_MS = 15_000;

const DISTURBANCES = ['none', 'lock', 'database', 'server'] as const;
type Disturbance = (typeof DISTURBANCES)[number];

/**
 * SPEC N-5: bursts of changes at random times while lists are being read, while the lock is held elsewhere, while the
 * database or the server is away; two replicas that both hear them. Afterwards catalogue = server, every time, and never
 * did two refreshes read the server at once (G-6). Issue 5, shown by 2.
 */
describe(`no change is ever lost (N-5): ${ROUNDS} rounds, seed ${SEED}`, () => {
  let world: NotificationWorld;
  let server: McpTestServer;
  let line: HttpLine;
  let database: TcpLine;
  let records: DataSource;
  let locks: RedisLocks;
  let gatewayId: string;
  let replicas: Replica[];

  beforeAll(async () => {
    world = await NotificationWorld.open();
    const real = new URL(world.database.url);
    database = await TcpLine.to(Number(real.port || 5432));
    world.atEnd(() => database.close());
    records = await new DataSource({ type: 'postgres', url: world.database.url }).initialize();
    world.atEnd(() => records.destroy());

    const through = new URL(real);
    through.host = `127.0.0.1:${database.port}`;
    const keyPrefix = freshKeyPrefix();
    const env = { DATABASE_URL: through.toString(), REDIS_URL: redisUrl(), REDIS_KEY_PREFIX: keyPrefix };
    replicas = [await world.replica(env), await world.replica(env)];
    const redis = new Redis(redisUrl());
    world.atEnd(async () => redis.disconnect());
    locks = new RedisLocks(redis, { keyPrefix, pollMs: 5 });

    server = await world.server();
    line = await HttpLine.to(server.port);
    line.listDelayMs = 15; // long enough for changes to come in between
    world.atEnd(() => line.close());
    const [a, b] = replicas as [Replica, Replica];
    await ready(a, b);
    ({ id: gatewayId } = await register(a.url, { name: 'gw', url: line.url }));
    await settled(a, server);
    // Sessions of clients on both replicas, which hear every change too.
    for (const replica of replicas) {
      const client = await RawClient.open(`${replica.url}/mcp`);
      await client.call(1, 'gw-whoami');
      world.atEnd(() => client.close());
    }
    await server.waitFor(({ getStreams }) => getStreams === 3);
  }, 60_000);
  afterAll(() => world.close());

  it(
    'after every burst the catalogue is what the server has',
    async () => {
      const next = random(SEED);
      const took: Record<Disturbance, number[]> = { none: [], lock: [], database: [], server: [] };
      for (let round = 0; round < ROUNDS; round += 1) {
        const disturbance = DISTURBANCES[round % DISTURBANCES.length] as Disturbance;
        const disturbed = disturb(disturbance, next() * BURST_MS);
        await burst(next);
        const last = performance.now();
        await disturbed;
        await until(same, { what: `round ${round} (${disturbance}): catalogue = server`, timeoutMs: LATEST_MS });
        took[disturbance].push(performance.now() - last);
      }
      for (const disturbance of DISTURBANCES) {
        const times = took[disturbance];
        figures(`ms from the last change, ${disturbance}`, {
          rounds: times.length,
          p50: percentile(times, 50),
          p99: percentile(times, 99),
        });
      }
      const [a, b] = replicas.map((replica) => notifications(replica).getMetrics().refreshesTriggered);
      const reads = server.stats.requests['tools/list'] ?? 0;
      figures('lost changes 0', {
        'refreshes of a': a ?? 0,
        'of b': b ?? 0,
        reads,
        'readers at once': line.mostReaders,
      });
      expect(Math.min(a ?? 0, b ?? 0)).toBeGreaterThanOrEqual(ROUNDS); // both heard all the time
      expect(line.mostReaders).toBe(1);
    },
    30_000 + ROUNDS * (BURST_MS + CUT_MS + 5_000),
  );

  /** Tools come and go, at random times. */
  async function burst(next: () => number): Promise<void> {
    const times = Array.from({ length: CHANGES }, () => next() * BURST_MS).sort((a, b) => a - b);
    const started = performance.now();
    for (const at of times) {
      await delay(Math.max(0, at - (performance.now() - started)));
      const name = `extra_${Math.floor(next() * 12)}`;
      if (present.delete(name)) server.removeTool(name);
      else {
        present.add(name);
        server.addTool(name);
      }
    }
  }
  const present = new Set<string>();

  async function disturb(disturbance: Disturbance, afterMs: number): Promise<void> {
    await delay(afterMs);
    if (disturbance === 'lock') {
      const lock = await locks.acquire(`refresh:${gatewayId}`, 10_000, AbortSignal.timeout(10_000));
      await delay(CUT_MS);
      await lock.release();
    } else if (disturbance !== 'none') {
      const way = disturbance === 'database' ? database : line;
      way.cut();
      await delay(CUT_MS);
      way.mend();
    }
  }

  async function same(): Promise<boolean> {
    const rows: { original_name: string }[] = await records.query(
      `SELECT "original_name" FROM "capabilities" WHERE "gateway_id" = $1 AND "original_name" LIKE 'extra_%'`,
      [gatewayId],
    );
    const known = rows.map(({ original_name: name }) => name).sort();
    return JSON.stringify(known) === JSON.stringify([...present].sort());
  }
});

async function ready(...replicas: readonly Replica[]): Promise<void> {
  for (const { url } of replicas) {
    await until(async () => (await fetch(`${url}/ready`)).ok, { what: 'ready' });
  }
}
