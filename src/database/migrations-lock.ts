import pg from 'pg';
import { type DataSource } from 'typeorm';

/** Our number among the advisory locks of the database; any constant will do, if it never changes. */
export const MIGRATIONS_LOCK_ID = '4776153018337215';
const LOCK_TIMEOUT_MS = 60_000;

/**
 * Runs the pending migrations while no other process does: two that start at once on a fresh database both come up.
 *
 * The lock is held by a connection of its own, inside a transaction: so it is gone with the connection, and it also
 * works through a pooler that gives a connection away between transactions.
 *
 * @throws pg's error; code 55P03 when the lock was not free within `lockTimeoutMs` (60 s)
 */
export async function migrateUnderLock(
  dataSource: DataSource,
  url: string,
  connectTimeoutMs: number,
  lockTimeoutMs = LOCK_TIMEOUT_MS,
): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'mcp-session-gateway migrations',
  });
  // A connection that is lost while we wait shows in the query; without a listener it would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('BEGIN');
    await client.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}`);
    await client.query('SET LOCAL idle_in_transaction_session_timeout = 0'); // it idles while the migrations run
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATIONS_LOCK_ID]);
    await dataSource.runMigrations({ transaction: 'each' });
    await client.query('COMMIT');
  } finally {
    await client.end().catch(() => undefined);
  }
}
