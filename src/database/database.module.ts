import { type DynamicModule, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { Database } from './database.js';
import { type DatabaseOptions, openDatabase } from './open-database.js';

/**
 * Provides `Database`, and its `DataSource` under TypeORM's own class. Not `@nestjs/typeorm`: that logs and retries a
 * failed start, where we end with one line.
 */
@Module({})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(private readonly database: Database) {}

  static forRoot(schema: Pick<DatabaseOptions, 'entities' | 'migrations'>): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      providers: [
        { provide: Database, inject: [SETTINGS], useFactory: (settings: Settings) => open(settings, schema) },
        { provide: DataSource, inject: [Database], useFactory: (database: Database) => database.dataSource },
      ],
      exports: [Database, DataSource],
    };
  }

  /** After `onModuleDestroy` of all: whoever still drains may write until then. */
  async onApplicationShutdown(): Promise<void> {
    await this.database.close();
  }
}

function open(settings: Settings, schema: Pick<DatabaseOptions, 'entities' | 'migrations'>): Promise<Database> {
  const logger = new Logger('Database');
  return openDatabase({
    ...schema,
    url: settings.DATABASE_URL,
    dataDir: settings.DATA_DIR,
    poolSize: settings.DATABASE_POOL_SIZE,
    connectTimeoutMs: settings.DATABASE_CONNECT_TIMEOUT_SECONDS,
    onWarning: (line) => logger.warn(line),
  });
}
