import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { MIGRATIONS } from '../../migrations/index.js';
import { createDatabase } from '../../test/support/services.js';
import { type Database } from '../database/database.js';
import { openDatabase } from '../database/open-database.js';
import { ENTITIES } from './entities/index.js';

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function open(kind: 'postgres' | 'embedded'): Promise<Database> {
  const dataDir = await mkdtemp(join(tmpdir(), 'catalogue-'));
  cleanups.push(() => rm(dataDir, { recursive: true, force: true }));
  const shared = { dataDir, poolSize: 2, connectTimeoutMs: 10_000, entities: ENTITIES, migrations: MIGRATIONS };
  if (kind === 'embedded') return remembered(await openDatabase(shared));
  const server = await createDatabase();
  cleanups.push(() => server.drop());
  return remembered(await openDatabase({ ...shared, url: server.url }));
}

function remembered(database: Database): Database {
  cleanups.push(() => database.close());
  return database;
}

describe.each(['postgres', 'embedded'] as const)('migrations on %s (SPEC G-1)', (kind) => {
  it('make exactly the tables of the entities: migration:generate reports no drift', async () => {
    const { dataSource } = await open(kind);
    const drift = await dataSource.driver.createSchemaBuilder().log();
    expect(drift.upQueries.map(({ query }) => query)).toEqual([]);

    await dataSource.query('DROP INDEX "ix_virtual_server_items_capability"');
    const seen = await dataSource.driver.createSchemaBuilder().log();
    expect(seen.upQueries).toHaveLength(1); // the check does see a difference
  });

  it('can be taken back', async () => {
    const { dataSource } = await open(kind);
    for (let i = 0; i < MIGRATIONS.length; i++) await dataSource.undoLastMigration();
    const rows = await dataSource.query<unknown[]>(
      `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'migrations'`,
    );
    expect(rows).toEqual([]);
  });
});
