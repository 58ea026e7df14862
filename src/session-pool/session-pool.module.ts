import { Inject, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { type Log, LOG } from '../logging/logger.js';
import { Metrics } from '../metrics/metrics.js';
import { RedisService } from '../redis/redis.service.js';
import { UpstreamConnector } from '../upstream/upstream.connector.js';
import { UpstreamModule } from '../upstream/upstream.module.js';
import { exposePoolMetrics } from './expose-metrics.js';
import { SessionMappings } from './session-mappings.js';
import { type SessionPoolOptions, SessionPoolService } from './session-pool.service.js';

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
      provide: SessionPoolService,
      inject: [SETTINGS, UpstreamConnector, Metrics, LOG, SessionMappings],
      useFactory: (
        settings: Settings,
        connector: UpstreamConnector,
        metrics: Metrics,
        log: Log,
        mappings: SessionMappings,
      ) => new SessionPoolService(optionsFrom(settings), connector, metrics, log, mappings),
    },
  ],
  exports: [SessionPoolService],
})
export class SessionPoolModule implements OnModuleInit, OnModuleDestroy {
  constructor(
    @Inject(SessionPoolService) private readonly pool: SessionPoolService,
    private readonly metrics: Metrics,
  ) {}

  onModuleInit(): void {
    exposePoolMetrics(this.pool, this.metrics);
    this.pool.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.pool.close();
  }
}

function optionsFrom(settings: Settings): SessionPoolOptions {
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
    drainMs: settings.MCP_SESSION_POOL_CLEANUP_TIMEOUT,
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
