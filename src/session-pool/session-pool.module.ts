import { Inject, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { Metrics } from '../metrics/metrics.js';
import { UpstreamConnector } from '../upstream/upstream.connector.js';
import { UpstreamModule } from '../upstream/upstream.module.js';
import { SessionPoolService } from './session-pool.service.js';

const MAX_REAP_INTERVAL_MS = 10_000;
const MIN_REAP_INTERVAL_MS = 10;

@Module({
  imports: [UpstreamModule],
  providers: [
    {
      provide: SessionPoolService,
      inject: [SETTINGS, UpstreamConnector, Metrics],
      useFactory: (settings: Settings, connector: UpstreamConnector, metrics: Metrics) =>
        new SessionPoolService(
          {
            enabled: settings.MCP_SESSION_POOL_ENABLED,
            maxPerKey: settings.MCP_SESSION_POOL_MAX_PER_KEY,
            maxTotal: settings.MCP_SESSION_POOL_MAX_TOTAL_SESSIONS,
            maxKeys: settings.MCP_SESSION_POOL_MAX_TOTAL_KEYS,
            maxLeasesPerResource: 1,
            ttlMs: settings.MCP_SESSION_POOL_TTL,
            acquireTimeoutMs: settings.MCP_SESSION_POOL_ACQUIRE_TIMEOUT,
            createTimeoutMs: settings.MCP_SESSION_POOL_CREATE_TIMEOUT,
            idleEvictionMs: settings.MCP_SESSION_POOL_TTL,
            reapIntervalMs: Math.min(
              MAX_REAP_INTERVAL_MS,
              Math.max(MIN_REAP_INTERVAL_MS, settings.MCP_SESSION_POOL_TTL / 10),
            ),
            drainMs: settings.MCP_SESSION_POOL_CLEANUP_TIMEOUT,
          },
          connector,
          metrics,
        ),
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
    const { pool, metrics } = this;
    const counter = (name: string, help: string, read: (all: ReturnType<SessionPoolService['getMetrics']>) => number) =>
      metrics.observeCounter(`mcpgateway_pool_${name}_total`, help, () => read(pool.getMetrics()));
    counter('hits', 'Calls on an upstream session that was there', (all) => all.hits);
    counter('misses', 'Calls for which an upstream session was opened', (all) => all.misses);
    counter('evictions', 'Upstream sessions ended before their time', (all) => all.evictions);
    counter('sessions_created', 'Upstream sessions opened by the pool', (all) => all.created);
    counter('sessions_terminated', 'Upstream sessions ended by the pool', (all) => all.terminated);
    counter('sessions_reaped', 'Upstream sessions ended for their age or idleness', (all) => all.sessionsReaped);
    metrics.observeGauge('mcpgateway_pool_sessions', 'Upstream sessions by state', ['state'], () => {
      const { idle, leased, opening, closing } = pool.numbers;
      return Object.entries({ idle, leased, opening, closing }).map(([state, value]) => ({ labels: { state }, value }));
    });
    metrics.observeGauge('mcpgateway_pool_waiting', 'Calls that wait for a session', [], () => [
      { value: pool.numbers.waiting },
    ]);
    metrics.observeGauge('mcpgateway_pool_keys', 'Identities with upstream sessions', [], () => [
      { value: pool.numbers.keys },
    ]);
    pool.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.pool.close();
  }
}
