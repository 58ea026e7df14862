import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { Column, DataSource, Entity, type MigrationInterface, PrimaryColumn, type QueryRunner } from 'typeorm';
import { until } from '../../test/support/until.js';
import { createDatabase, type TestDatabase } from '../../test/support/services.js';
import { type Database } from './database.js';
import { MIGRATIONS_LOCK_ID, migrateUnderLock } from './migrations-lock.js';
import { type DatabaseOptions, openDatabase } from './open-database.js';
import { postgresFailure } from './postgres-failure.js';

@Entity('things')
class Thing {
  @PrimaryColumn('bigint')
  id: string;
  @Column('bytea')
  bytes: Buffer;
  @Column('jsonb', { nullable: true })
  json: unknown;
  @Column('timestamptz', { nullable: true })
  at: Date | null;
}

class Things1700000000001 implements MigrationInterface {
  readonly name: string = 'Things1700000000001';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE "things" ("id" bigint PRIMARY KEY, "bytes" bytea NOT NULL, "json" jsonb)`);
  }
  async down(): Promise<void> {}
}
class ThingsAt1700000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "things" ADD "at" timestamptz`);
  }
  async down(): Promise<void> {}
}
class Broken1700000000003 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE "half" ("a" int)`);
    await runner.query('THIS IS NOT SQL');
  }
  async down(): Promise<void> {}
}

let root: string;
let server: TestDatabase;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'database-'));
  server = await createDatabase();
});
afterAll(async () => {
  await server.drop();
  await rm(root, { recursive: true, force: true });
});

function options(kind: 'postgres' | 'embedded', changes: Partial<DatabaseOptions> = {}): DatabaseOptions {
  return {
    ...(kind === 'postgres' ? { url: server.url } : {}),
    dataDir: join(root, 'data'),
    poolSize: 5,
    connectTimeoutMs: 5_000,
    entities: [Thing],
    migrations: [Things1700000000001, ThingsAt1700000000002],
    ...changes,
  };
}

describe.each(['postgres', 'embedded'] as const)('openDatabase: %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await openDatabase(options(kind));
  });
  afterAll(() => database.close());

  it('runs the migrations, never synchronizes (G-1)', async () => {
    expect(database.kind).toBe(kind);
    expect(database.dataSource.options.synchronize).toBe(false);
    expect(await database.pendingMigrations()).toBe(false);
    await database.dataSource.query(`DELETE FROM "migrations" WHERE "name" = 'ThingsAt1700000000002'`);
    expect(await database.pendingMigrations()).toBe(true);
    await database.dataSource.query(
      `INSERT INTO "migrations" ("timestamp", "name") VALUES (1700000000002, 'ThingsAt1700000000002')`,
    );
  });

  it('gives bytea as Buffer, bigint as string, json as object, timestamptz as Date', async () => {
    const things = database.dataSource.getRepository(Thing);
    const thing = { bytes: Buffer.from([0, 255, 39, 92]), json: { a: ['ü', null, 1.5] }, at: new Date(1.7e12) };
    await things.insert({ id: '9223372036854775807', ...thing });
    const found = await things.findOneByOrFail({ id: '9223372036854775807' });
    expect({ ...found }).toEqual({ id: '9223372036854775807', ...thing });
    expect(found.bytes).toBeInstanceOf(Buffer);
  });

  it('keeps 20 transactions at once apart, half of them rolled back', async () => {
    const work = Array.from({ length: 20 }, (_, index) =>
      database.dataSource.transaction(async (manager) => {
        await manager.insert(Thing, { id: String(1000 + index), bytes: Buffer.alloc(1) });
        await manager.query('SELECT 1');
        if (index % 2 === 1) throw new Error('roll back');
      }),
    );
    const results = await Promise.allSettled(work);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(10);
    const rows: { id: string }[] = await database.dataSource.query(
      `SELECT id FROM things WHERE id BETWEEN 1000 AND 1999 ORDER BY id`,
    );
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 10 }, (_, index) => String(1000 + 2 * index)));
  });

  it('reports a violated constraint with the same code', async () => {
    const insert = () => database.dataSource.getRepository(Thing).insert({ id: '7', bytes: Buffer.alloc(0) });
    await insert();
    await expect(insert()).rejects.toMatchObject({ driverError: { code: '23505', constraint: 'things_pkey' } });
  });

  it('answers a ping, and gives up on one with its signal', async () => {
    await database.ping();
    await expect(database.ping(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  });

  it('has the data again after it was closed and opened (shown by 3)', async () => {
    await database.dataSource.getRepository(Thing).insert({ id: '5', bytes: Buffer.from('kept') });
    const closing = database.close();
    expect(database.close()).toBe(closing);
    await closing;
    await expect(database.ping()).rejects.toThrow();

    database = await openDatabase(options(kind));
    const kept = await database.dataSource.getRepository(Thing).findOneByOrFail({ id: '5' });
    expect(kept.bytes.toString()).toBe('kept');
  });

  it('closes in time although a transaction was never ended', async () => {
    const runner = database.dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.query(`INSERT INTO "things" ("id", "bytes") VALUES (66, '')`);
    const began = performance.now();
    await database.close();
    expect(performance.now() - began).toBeLessThan(16_000);

    database = await openDatabase(options(kind));
    expect(await database.dataSource.getRepository(Thing).countBy({ id: '66' })).toBe(0);
  });

  it('undoes a migration that fails, ends in one line and can be opened again', async () => {
    await database.close();
    const broken = options(kind, { migrations: [...options(kind).migrations, Broken1700000000003] });
    const failure = await openDatabase(broken).catch((error: Error) => error);
    expect(failure).toMatchObject({ name: 'StartupError', message: expect.stringMatching(/^[^\n]*"THIS"[^\n]*$/) });

    database = await openDatabase(options(kind));
    expect(await database.dataSource.query(`SELECT to_regclass('half') AS half`)).toEqual([{ half: null }]);
  });
});

describe('openDatabase: postgres only', () => {
  it('lets four that start at once on a fresh database all come up', async () => {
    const fresh = await createDatabase();
    const opened = await Promise.all(
      Array.from({ length: 4 }, () => openDatabase(options('postgres', { url: fresh.url }))),
    );
    const [row] = await opened[0]!.dataSource.query(`SELECT count(*)::int AS count FROM "migrations"`);
    expect(row).toEqual({ count: 2 });
    await Promise.all(opened.map((database) => database.close()));
    await fresh.drop();
  });

  it('does not wait for ever for a process that is stuck in its migrations', async () => {
    const fresh = await createDatabase();
    const stuck = new pg.Client({ connectionString: fresh.url });
    await stuck.connect();
    await stuck.query('SELECT pg_advisory_lock($1)', [MIGRATIONS_LOCK_ID]);
    const dataSource = new DataSource({ type: 'postgres', url: fresh.url });
    await dataSource.initialize();
    const failure: unknown = await migrateUnderLock(dataSource, fresh.url, 1_000, 100).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: '55P03' });
    expect(postgresFailure('cannot bring the schema up to date', fresh.url, failure).message).toContain(
      'is one stuck?',
    );
    await Promise.all([dataSource.destroy(), stuck.end()]);
    await fresh.drop();
  });

  it('tells of an idle connection that was cut, and goes on', async () => {
    const warnings: string[] = [];
    const database = await openDatabase(options('postgres', { onWarning: (line) => warnings.push(line) }));
    const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
    await Promise.all([database.ping(), database.ping()]);
    await database.dataSource.query(cut);
    await expect(database.ping()).resolves.toBeUndefined();
    await until(() => warnings.length > 0, { what: 'the warning' }); // it comes with the connection's own event
    expect(warnings).toEqual([expect.stringMatching(/^a database connection was lost: .*terminat/)]);
    await database.close();
  });
});

describe('openDatabase: embedded only', () => {
  it('refuses a second one in the same directory in one line, and takes no harm', async () => {
    const database = await openDatabase(options('embedded'));
    await expect(openDatabase(options('embedded'))).rejects.toMatchObject({
      name: 'StartupError',
      message: expect.stringMatching(/^DATA_DIR [^\n]+ is in use by process \d+ [^\n]+$/),
    });
    await database.ping();
    await database.close();
  });

  it('turns a wait for itself into an error and a clean roll-back', async () => {
    const database = await openDatabase(options('embedded', { connectTimeoutMs: 300 }));
    const outer = database.dataSource.getRepository(Thing);
    const waiting = database.dataSource.transaction(async (manager) => {
      await manager.insert(Thing, { id: '3333', bytes: Buffer.alloc(0) });
      await outer.count();
    });
    await expect(waiting).rejects.toThrow('timeout exceeded');
    expect(await outer.countBy({ id: '3333' })).toBe(0);
    await database.close();
  });

  it('does not listen to the PG* variables of the environment', async () => {
    const before = { ...process.env };
    Object.assign(process.env, {
      PGSSLMODE: 'require',
      PGHOST: 'nowhere.invalid',
      PGDATABASE: 'x',
      PGOPTIONS: '-c a=b',
    });
    try {
      const database = await openDatabase(options('embedded'));
      await database.ping();
      await database.close();
    } finally {
      for (const name of ['PGSSLMODE', 'PGHOST', 'PGDATABASE', 'PGOPTIONS']) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
  });
});
