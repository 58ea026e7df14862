import { Inject, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { SecretBox } from '../common/secret-box.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { type Log, LOG } from '../logging/logger.js';
import { Metrics } from '../metrics/metrics.js';
import { RedisService } from '../redis/redis.service.js';
import { UpstreamConnector } from '../upstream/upstream.connector.js';
import { UpstreamModule } from '../upstream/upstream.module.js';
import { exposePoolMetrics } from './expose-metrics.js';
import { SessionMappings } from './session-mappings.js';
import { MemoryJournal, RedisJournal, SessionJournal } from './session-journal.js';
import { SessionPoolService } from './session-pool.service.js';
import { type SessionPoolOptions } from './session-pool.types.js';

const MAX_REAP_INTERVAL_MS = 10_000;
const MIN_REAP_INTERVAL_MS = 5;

@Module({
  imports: [UpstreamModule],
  providers: [
    {
      provide: SessionMappings,
      inject: [SETTINGS, RedisService, Metrics],
      useFactory: (settings: Settings, redis: RedisService, { affinity }: Metrics) =>
        new SessionMappings(
          {
            enabled: settings.MCPGATEWAY_SESSION_AFFINITY_ENABLED,
            ttlMs: settings.MCPGATEWAY_SESSION_AFFINITY_TTL,
            keyPrefix: settings.REDIS_KEY_PREFIX,
          },
          redis,
          affinity,
        ),
    },
    {
      provide: SessionJournal,
      inject: [SETTINGS, RedisService, SecretBox],
      useFactory: (settings: Settings, redis: RedisService, box: SecretBox): SessionJournal => {
        const { REPLICA_ID: replicaId, REDIS_KEY_PREFIX: keyPrefix } = settings;
        return takenOver(settings, redis)
          ? new RedisJournal({ replicaId, keyPrefix }, redis, box)
          : new MemoryJournal();
      },
    },
    {
      provide: SessionPoolService,
      inject: [SETTINGS, UpstreamConnector, Metrics, LOG, SessionMappings, SessionJournal, RedisService],
      useFactory: (
        settings: Settings,
        connector: UpstreamConnector,
        metrics: Metrics,
        log: Log,
        mappings: SessionMappings,
        journal: SessionJournal,
        redis: RedisService,
      ) => {
        const options = { ...optionsFrom(settings), detachAtDrain: takenOver(settings, redis) };
        return new SessionPoolService(options, connector, metrics, log, mappings, journal);
      },
    },
  ],
  exports: [SessionPoolService],
})
export class SessionPoolModule implements OnModuleInit, OnModuleDestroy {
  constructor(
    @Inject(SessionPoolService) private readonly pool: SessionPoolService,
    private readonly mappings: SessionMappings,
    private readonly metrics: Metrics,
  ) {}

  onModuleInit(): void {
    exposePoolMetrics(this.pool, this.metrics);
    this.pool.start();
    this.mappings.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.mappings.stop();
    await this.pool.close();
  }
}

/** Whether another replica may go on with our sessions, or end them: only then is it of use to leave them a word. */
function takenOver(settings: Settings, redis: RedisService): boolean {
  return redis.configured && settings.MCPGATEWAY_SESSION_AFFINITY_ENABLED;
}

function optionsFrom(settings: Settings): Omit<SessionPoolOptions, 'detachAtDrain'> {
  const shortest = Math.min(settings.MCP_SESSION_POOL_TTL, settings.MCP_SESSION_POOL_IDLE_EVICTION);
  return {
    enabled: settings.MCP_SESSION_POOL_ENABLED,
    maxPerKey: settings.MCP_SESSION_POOL_MAX_PER_KEY,
    maxTotal: settings.MCP_SESSION_POOL_MAX_TOTAL_SESSIONS,
    maxPerGroup: settings.MCP_SESSION_POOL_MAX_PER_GATEWAY,
    maxKeys: settings.MCP_SESSION_POOL_MAX_TOTAL_KEYS,
    maxLeasesPerResource: settings.MCP_SESSION_POOL_MAX_LEASES_PER_SESSION,
    ttlMs: settings.MCP_SESSION_POOL_TTL,
    idleEvictionMs: settings.MCP_SESSION_POOL_IDLE_EVICTION,
    acquireTimeoutMs: settings.MCP_SESSION_POOL_ACQUIRE_TIMEOUT,
    createTimeoutMs: settings.MCP_SESSION_POOL_CREATE_TIMEOUT,
    healthCheckIntervalMs: settings.MCP_SESSION_POOL_HEALTH_CHECK_INTERVAL,
    healthCheckMethods: settings.MCP_SESSION_POOL_HEALTH_CHECK_METHODS,
    healthCheckTimeoutMs: settings.MCP_SESSION_POOL_HEALTH_CHECK_TIMEOUT,
    leaseWarningMs: settings.MCP_SESSION_POOL_LEASE_WARNING,
    reapIntervalMs: Math.min(MAX_REAP_INTERVAL_MS, Math.max(MIN_REAP_INTERVAL_MS, shortest / 4)),
    closeGraceMs: settings.MCP_SESSION_POOL_CLEANUP_TIMEOUT,
    circuit: {
      threshold: settings.MCP_SESSION_POOL_CIRCUIT_BREAKER_THRESHOLD,
      resetMs: settings.MCP_SESSION_POOL_CIRCUIT_BREAKER_RESET,
    },
    calls: {
      maxInFlight: settings.MCP_SESSION_POOL_MAX_CALLS_PER_GATEWAY,
      maxQueued: settings.MCP_SESSION_POOL_MAX_QUEUED_PER_GATEWAY,
    },
  };
}
