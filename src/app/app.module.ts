import { type DynamicModule, Module } from '@nestjs/common';
import { MIGRATIONS } from '../../migrations/index.js';
import { ENTITIES } from '../catalogue/index.js';
import { SettingsModule } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { DatabaseModule } from '../database/database.module.js';
import { DownstreamModule } from '../downstream/downstream.module.js';
import { GatewayModule } from '../gateway/gateway.module.js';
import { HealthModule } from '../health/health.module.js';
import { type Log } from '../logging/logger.js';
import { LoggingModule } from '../logging/logging.module.js';
import { MetricsModule } from '../metrics/metrics.module.js';
import { NotificationModule } from '../notification/index.js';
import { RedisModule } from '../redis/redis.module.js';
import { SecretsModule } from './secrets.module.js';

/** The whole service. The settings are an argument, so that several replicas can live in one process. */
@Module({})
export class AppModule {
  static forRoot(settings: Settings, log: Log): DynamicModule {
    return {
      module: AppModule,
      imports: [
        SettingsModule.forRoot(settings),
        LoggingModule.forRoot(log),
        MetricsModule,
        RedisModule,
        DatabaseModule.forRoot({ entities: ENTITIES, migrations: MIGRATIONS }),
        SecretsModule,
        NotificationModule,
        GatewayModule,
        DownstreamModule,
        HealthModule,
      ],
    };
  }
}
