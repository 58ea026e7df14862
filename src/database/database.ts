import { type DataSource } from 'typeorm';
import { abortable, settledWithin, withDeadline } from '../common/deadline.js';

export type DatabaseKind = 'postgres' | 'embedded';

/** Table in which TypeORM keeps the names of the migrations that have run. */
export const MIGRATIONS_TABLE = 'migrations';

const PING_TIMEOUT_MS = 5_000;
const POOL_END_TIMEOUT_MS = 5_000;

/** The open database: its schema is up to date, and `dataSource` is ready for repositories. */
export class Database {
  private closing?: Promise<void>;

  /** @param backend what runs beneath the pool and is closed after it; nothing for a real server */
  constructor(
    readonly kind: DatabaseKind,
    readonly dataSource: DataSource,
    private readonly backend?: { close(): Promise<void> },
  ) {}

  /**
   * One query there and back.
   *
   * @throws Error when the database does not answer within 5 s, or the signal's reason when that is first
   */
  async ping(signal?: AbortSignal): Promise<void> {
    const late = (): Error => new Error(`the database did not answer within ${PING_TIMEOUT_MS} ms`);
    await withDeadline(PING_TIMEOUT_MS, signal, late, (limit) => abortable(this.dataSource.query('SELECT 1'), limit));
  }

  /** Whether the schema lacks a migration that this version brings (somebody reverted one under us). */
  async pendingMigrations(): Promise<boolean> {
    const rows: { name: string }[] = await this.dataSource.query(`SELECT "name" FROM "${MIGRATIONS_TABLE}"`);
    const done = new Set(rows.map(({ name }) => name));
    return this.dataSource.migrations.some((migration) => !done.has(migration.name ?? migration.constructor.name));
  }

  /** Ends the pool, then what runs beneath it; bounded (5 s and 10 s). Never rejects; a second call gets the first's promise. */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    await settledWithin(this.dataSource.destroy(), POOL_END_TIMEOUT_MS);
    await this.backend?.close().catch(() => undefined);
  }
}
