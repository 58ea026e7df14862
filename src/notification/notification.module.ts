import { Inject, Module, type OnApplicationBootstrap, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { CatalogueModule, CatalogueService } from '../catalogue/index.js';
import { settledWithin } from '../common/deadline.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { type Log, LOG } from '../logging/logger.js';
import { Metrics } from '../metrics/metrics.js';
import { GatewayLeader } from '../redis/gateway-leader.js';
import { SessionPoolModule, SessionPoolService } from '../session-pool/index.js';
import { exposeNotificationMetrics } from './expose-metrics.js';
import { GatewayRoster } from './gateway-roster.js';
import { GatewayWatch } from './gateway-watch.js';
import { NotificationService } from './notification.service.js';
import { watchOf } from './watch.provider.js';

const MAX_SYNC_MS = 60_000;
const SLOW_REFRESH_MS = 1_000;
const REFRESH_RETRY = { firstMs: 500, maxMs: 60_000 };

@Module({
  imports: [CatalogueModule, SessionPoolModule],
  providers: [
    {
      provide: GatewayRoster,
      inject: [CatalogueService, SETTINGS, LOG],
      useFactory: (catalogue: CatalogueService, settings: Settings, log: Log) => {
        const syncMs = Math.min(MAX_SYNC_MS, settings.GATEWAY_REFRESH_INTERVAL_SECONDS);
        return new GatewayRoster({ catalogue, log, syncMs });
      },
    },
    {
      provide: NotificationService,
      inject: [CatalogueService, SessionPoolService, GatewayRoster, LOG, Metrics, SETTINGS],
      useFactory: (
        catalogue: CatalogueService,
        sessions: SessionPoolService,
        roster: GatewayRoster,
        log: Log,
        { changeDelay }: Metrics,
        settings: Settings,
      ) =>
        new NotificationService({
          ...{ catalogue, sessions, roster, log, slowMs: SLOW_REFRESH_MS, retry: REFRESH_RETRY },
          observeDelay: (seconds) => changeDelay.observe(seconds),
          debounceMs: settings.NOTIFICATION_DEBOUNCE_SECONDS,
          maxWaitMs: settings.NOTIFICATION_MAX_WAIT_SECONDS,
          parallel: settings.GATEWAY_REFRESH_PARALLEL,
        }),
    },
    {
      provide: GatewayWatch,
      inject: [GatewayRoster, NotificationService, SessionPoolService, LOG, SETTINGS],
      useFactory: watchOf,
    },
  ],
  exports: [NotificationService],
})
export class NotificationModule implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  constructor(
    @Inject(NotificationService) private readonly notifications: NotificationService,
    @Inject(GatewayRoster) private readonly roster: GatewayRoster,
    @Inject(GatewayWatch) private readonly watch: GatewayWatch,
    private readonly leader: GatewayLeader,
    private readonly metrics: Metrics,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  onModuleInit(): void {
    exposeNotificationMetrics(this.notifications, this.watch, this.metrics);
    this.notifications.start();
  }

  onApplicationBootstrap(): void {
    this.roster.start();
    this.leader.onLead((signal) => this.watch.lead(signal));
  }

  async onModuleDestroy(): Promise<void> {
    const ends = [this.watch.stop(), this.notifications.stop(), this.roster.stop()];
    // A database that is away must not hold the shutdown up; what is left ends with the connections.
    await settledWithin(Promise.all(ends), this.settings.MCP_SESSION_POOL_CLEANUP_TIMEOUT);
  }
}
