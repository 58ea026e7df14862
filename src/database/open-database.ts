import { DataSource, type DataSourceOptions, type MigrationInterface } from 'typeorm';
import { settledWithin } from '../common/deadline.js';
import { StartupError } from '../common/startup-error.js';
import { Database, MIGRATIONS_TABLE } from './database.js';
import { EmbeddedPostgres } from './embedded/embedded-postgres.js';
import { migrateUnderLock } from './migrations-lock.js';
import { oneLine } from './one-line.js';
import { postgresFailure } from './postgres-failure.js';
import { TypeOrmLogger } from './typeorm-logger.js';

export interface DatabaseOptions {
  /** `DATABASE_URL`; without it the embedded database in `dataDir` is opened. */
  readonly url?: string;
  /** `DATA_DIR`; not touched when `url` is set. */
  readonly dataDir: string;
  /** Connections to a real server at most; the embedded one has one session. */
  readonly poolSize: number;
  /** Limit for making a connection, and for waiting until the pool has one free. */
  readonly connectTimeoutMs: number;
  readonly entities: readonly (abstract new (...args: never[]) => object)[];
  /** In the order in which they run. */
  readonly migrations: readonly (new () => MigrationInterface)[];
  /** Told about things that mend themselves: a lost idle connection, a wait for a lock. */
  readonly onWarning?: (line: string) => void;
}

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

/** Ending a pool of which the opening failed. */
const CLEAN_UP_TIMEOUT_MS = 5_000;

/**
 * Opens the database, real or embedded, and brings its schema up to date under a lock. Same entities, same migrations,
 * same driver, same rows on both. `synchronize` is off.
 *
 * @throws StartupError, one line that names the setting to look at
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  return options.url === undefined ? openEmbedded(options) : openServer(options, options.url);
}

async function openServer(options: DatabaseOptions, url: string): Promise<Database> {
  let dataSource: DataSource | undefined;
  let doing = 'cannot connect to Postgres';
  try {
    dataSource = new DataSource({ ...shared(options), url, poolSize: options.poolSize, extra: { keepAlive: true } });
    await dataSource.initialize();
    doing = 'cannot bring the schema up to date';
    await migrateUnderLock(dataSource, url, options.connectTimeoutMs);
    return new Database('postgres', dataSource);
  } catch (error) {
    await discard(dataSource);
    throw postgresFailure(doing, url, error);
  }
}

async function openEmbedded(options: DatabaseOptions): Promise<Database> {
  const embedded = await EmbeddedPostgres.open(options.dataDir, options.onWarning);
  let dataSource: DataSource | undefined;
  try {
    dataSource = new DataSource({
      ...shared(options),
      // Spelt out, so that no PG* variable of the environment counts.
      host: 'embedded',
      port: 5432,
      username: 'postgres',
      password: '',
      database: 'postgres',
      ssl: false,
      poolSize: 1,
      extra: { stream: () => embedded.openStream(), idleTimeoutMillis: 0 },
    });
    await dataSource.initialize();
    await dataSource.runMigrations({ transaction: 'each' }); // the directory's lock is lock enough
    return new Database('embedded', dataSource, embedded);
  } catch (error) {
    await discard(dataSource);
    await embedded.close();
    const where = `the embedded database in DATA_DIR ${options.dataDir}`;
    throw new StartupError(`${where} cannot be brought up to date: ${oneLine(error)}`, { cause: error });
  }
}

function shared(options: DatabaseOptions) {
  return {
    type: 'postgres',
    applicationName: 'mcp-session-gateway',
    entities: [...options.entities],
    migrations: [...options.migrations],
    migrationsTableName: MIGRATIONS_TABLE,
    synchronize: false,
    migrationsRun: false, // not by `initialize`, but under the lock
    logger: new TypeOrmLogger((line) => options.onWarning?.(line)),
    installExtensions: false,
    uuidExtension: 'pgcrypto',
    // With the embedded pool of 1 this also turns "waits for itself" (an outer repository inside a transaction) into an error.
    connectTimeoutMS: options.connectTimeoutMs,
    poolErrorHandler: (error: unknown) => options.onWarning?.(`a database connection was lost: ${oneLine(error)}`),
  } satisfies PostgresOptions;
}

async function discard(dataSource: DataSource | undefined): Promise<void> {
  if (dataSource?.isInitialized) await settledWithin(dataSource.destroy(), CLEAN_UP_TIMEOUT_MS);
}
