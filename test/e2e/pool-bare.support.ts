import { createServer } from 'node:http';
import { createLog } from '../../src/logging/logger.js';
import { Metrics } from '../../src/metrics/metrics.js';
import { RedisService } from '../../src/redis/redis.service.js';
import { PoolKey, SessionPoolService, type Target } from '../../src/session-pool/index.js';
import { SessionMappings } from '../../src/session-pool/session-mappings.js';
import { MemoryJournal, type SessionJournal } from '../../src/session-pool/session-journal.js';
import { type SessionPoolOptions } from '../../src/session-pool/session-pool.types.js';
import { UpstreamConnector } from '../../src/upstream/upstream.connector.js';
import { type RawMcp, startRawMcp } from '../support/raw-mcp.js';
import { useOf } from '../support/pool-use.js';

/** The real pool over the real connector, without the service around it, against servers without an SDK. */

export const PARAMS = Buffer.from('{"name":"pay","arguments":{}}');
const ends: (() => Promise<unknown>)[] = [];
/** For `afterEach`: closes what was made, the last first. */
export async function endAll(): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end();
}

export function makePool(options: Partial<SessionPoolOptions> = {}, journal: SessionJournal = new MemoryJournal()) {
  const log = createLog({ LOG_LEVEL: 'silent', REPLICA_ID: 'test' });
  const metrics = new Metrics();
  const limits = {
    maxResponseBytes: 2 ** 24,
    connectTimeoutMs: 1_000,
    transportTimeoutMs: 1_000,
    cleanupTimeoutMs: 500,
  };
  const connector = new UpstreamConnector({ ...limits, clientInfo: { name: 'test', version: '1' } });
  const mappings = new SessionMappings(
    { enabled: false, ttlMs: 1_000, keyPrefix: 't:' },
    new RedisService(undefined, log),
    metrics.affinity,
  );
  const pool = new SessionPoolService(
    {
      enabled: true,
      maxPerKey: 10,
      maxTotal: 100,
      maxPerGroup: 100,
      maxKeys: 0,
      maxLeasesPerResource: 1,
      ttlMs: 60_000,
      idleEvictionMs: 60_000,
      acquireTimeoutMs: 10_000,
      createTimeoutMs: 1_000,
      healthCheckIntervalMs: 60_000,
      healthCheckMethods: ['ping'],
      healthCheckTimeoutMs: 300,
      leaseWarningMs: 60_000,
      reapIntervalMs: 1_000,
      closeGraceMs: 200,
      detachAtDrain: false,
      circuit: { threshold: 5, resetMs: 1_000 },
      calls: { maxInFlight: 1_000, maxQueued: 1_000 },
      ...options,
    },
    connector,
    metrics,
    log,
    mappings,
    journal,
  );
  ends.push(async () => {
    await pool.close();
    await connector.close();
  });
  return { pool, metrics };
}

export async function raw(...args: Parameters<typeof startRawMcp>): Promise<RawMcp> {
  const server = await startRawMcp(...args);
  ends.push(() => server.close());
  return server;
}

export function targetOf({ url }: RawMcp): Target {
  const credentials = { headers: () => ({}) };
  return { gatewayId: 'g', gatewayName: 'raw', url, transport: 'streamablehttp', credentials };
}

export async function pay(
  pool: SessionPoolService,
  target: Target,
  how: { bound?: boolean; repeatable?: boolean } = {},
) {
  const key = how.bound ? PoolKey.bound('user', 'hash', target) : PoolKey.pooled(USER, target);
  const signal = AbortSignal.timeout(3_000);
  const use = useOf(key, { repeatable: how.repeatable ?? false, ...(how.bound ? { sessionHash: 'hash' } : {}) });
  return pool.use(use, (session) => session.request('tools/call', PARAMS, { signal }), signal);
}
export const USER = { userIdentity: 'user', identityHash: 'identity' };

export async function hang(): Promise<RawMcp> {
  const server = createServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const made = {
    url: `http://127.0.0.1:${port}/mcp`,
    count: {},
    declared: [],
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  ends.push(() => made.close());
  return made;
}
