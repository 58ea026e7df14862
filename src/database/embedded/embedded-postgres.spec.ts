import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import pg from 'pg';
import { EmbeddedPostgres } from './embedded-postgres.js';
import { PgliteWorker } from './pglite-worker.js';

let root: string;
/** A closed, sound data directory to copy from: making one anew takes seconds. */
let sound: string;
let copies = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'embedded-'));
  sound = join(root, 'sound');
  await (await EmbeddedPostgres.open(sound)).close();
}, 60_000);
afterAll(() => rm(root, { recursive: true, force: true }));

async function copyOfSound(): Promise<string> {
  const dir = join(root, `copy-${(copies += 1)}`);
  await cp(sound, dir, { recursive: true });
  return dir;
}

function clientOf(embedded: EmbeddedPostgres | PgliteWorker, options: pg.ClientConfig = {}): pg.Client {
  const client = new pg.Client({ stream: () => embedded.openStream(), user: 'postgres', ssl: false, ...options });
  client.on('error', () => undefined);
  return client;
}

async function connected(embedded: EmbeddedPostgres | PgliteWorker): Promise<pg.Client> {
  const client = clientOf(embedded);
  await client.connect();
  return client;
}

describe('EmbeddedPostgres', () => {
  it('leaves only the cluster behind: no lock, no marker', async () => {
    expect(await readdir(sound)).toEqual(['pg']);
  });

  it.each(['ends', 'is cut off'])('resets the one session when a connection %s in mid-transaction', async (how) => {
    const embedded = await EmbeddedPostgres.open(await copyOfSound());
    try {
      const first = await connected(embedded);
      await first.query('CREATE TABLE t (a int)');
      await first.query(`SET search_path = pg_catalog`);
      await first.query('CREATE TEMP TABLE left_behind (a int)');
      await first.query({ name: 'same', text: 'SELECT 1' });
      await first.query('BEGIN');
      await first.query('INSERT INTO public.t VALUES (1)');
      if (how === 'ends') await first.end();
      else streamOf(first).destroy();

      const second = await connected(embedded);
      expect((await second.query('SELECT * FROM t')).rows).toEqual([]);
      expect((await second.query(`SELECT to_regclass('left_behind') AS temp`)).rows).toEqual([{ temp: null }]);
      expect((await second.query({ name: 'same', text: 'SELECT 2 AS two' })).rows).toEqual([{ two: 2 }]);
      expect((await second.query('SHOW search_path')).rows).toEqual([{ search_path: 'public' }]);
      await second.end();
    } finally {
      await embedded.close();
    }
  });

  it('resets it after a connection that broke off in an aborted transaction, or before its Sync', async () => {
    const embedded = await EmbeddedPostgres.open(await copyOfSound());
    try {
      const first = await connected(embedded);
      await first.query('BEGIN');
      await expect(first.query('SELECT no_such_column')).rejects.toThrow('no_such_column');
      // A Parse that fails, and a Flush in place of its Sync: the engine now skips everything until a Sync comes.
      streamOf(first).write(Buffer.from('P\0\0\0\x0d\0NOSQL\0\0\0H\0\0\0\x04', 'latin1'));
      streamOf(first).destroy();

      const second = await connected(embedded);
      await expect(second.query('SELECT $1::int AS one', [1])).resolves.toMatchObject({ rows: [{ one: 1 }] });
      await second.end();
    } finally {
      await embedded.close();
    }
  });

  it('carries 20 MB there and back', async () => {
    const embedded = await EmbeddedPostgres.open(await copyOfSound());
    try {
      const client = await connected(embedded);
      const bytes = Buffer.alloc(20 * 1024 * 1024, 0xa5);
      const { rows } = await client.query<{ bytes: Buffer }>('SELECT $1::bytea AS bytes', [bytes]);
      expect(rows[0]?.bytes.equals(bytes)).toBe(true);
      await client.end();
    } finally {
      await embedded.close();
    }
  });

  it('does not hold up the main thread during a query of a second', async () => {
    const embedded = await EmbeddedPostgres.open(await copyOfSound());
    try {
      const client = await connected(embedded);
      const delay = monitorEventLoopDelay({ resolution: 5 });
      delay.enable();
      const began = performance.now();
      await client.query(
        `DO $$ BEGIN WHILE clock_timestamp() < statement_timestamp() + interval '1 second' LOOP END LOOP; END $$`,
      );
      expect(performance.now() - began).toBeGreaterThan(900);
      delay.disable();
      expect(delay.max / 1e6).toBeLessThan(100);
      await client.end();
    } finally {
      await embedded.close();
    }
  });

  it('closes within its limits while a transaction is open, and loses nothing that was committed', async () => {
    const dir = await copyOfSound();
    const embedded = await EmbeddedPostgres.open(dir);
    const client = await connected(embedded);
    await client.query('CREATE TABLE t (a int)');
    await client.query('BEGIN');
    await client.query('INSERT INTO t VALUES (1)');
    const closing = embedded.close();
    expect(embedded.close()).toBe(closing);
    await closing;
    await expect(client.query('SELECT 1')).rejects.toThrow();
    await expect(connected(embedded)).rejects.toThrow('it was closed');

    const again = await EmbeddedPostgres.open(dir);
    const reader = await connected(again);
    expect((await reader.query('SELECT * FROM t')).rows).toEqual([]);
    await again.close();
  });

  it('fails running and new queries with the reason when its thread dies', async () => {
    const worker = await PgliteWorker.start(join(await copyOfSound(), 'pg'));
    const client = clientOf(worker);
    const lost = new Promise<Error>((resolve) => client.on('error', resolve));
    await client.connect();
    const running = client.query(
      `DO $$ BEGIN WHILE clock_timestamp() < statement_timestamp() + interval '9 seconds' LOOP END LOOP; END $$`,
    );
    worker.kill(new Error('the test pulled the plug'));
    await expect(running).rejects.toThrow('not running: the test pulled the plug');
    expect((await lost).message).toContain('pulled the plug');
    await expect(connected(worker)).rejects.toThrow('not running: the test pulled the plug');
    await worker.close();
  });

  it('ends a query when another process takes the directory over', async () => {
    const dir = await copyOfSound();
    const embedded = await EmbeddedPostgres.open(dir);
    const client = clientOf(embedded);
    const lost = new Promise<Error>((resolve) => client.on('error', resolve));
    await client.connect();
    await writeFile(join(dir, 'database.lock'), 'somebody else');
    expect((await lost).message).toMatch(/the lock .* was taken away/);
    await embedded.close();
    expect(await readFile(join(dir, 'database.lock'), 'utf8')).toBe('somebody else');
  });

  it('makes a cluster anew when the first start was cut off half-way', async () => {
    const dir = join(root, 'half');
    await mkdir(join(dir, 'pg', 'base'), { recursive: true });
    await writeFile(join(dir, 'pg', 'PG_VERSION'), '18\n');
    await writeFile(join(dir, 'pg.initialising'), '');
    await (await EmbeddedPostgres.open(dir)).close();
    expect(await readdir(dir)).toEqual(['pg']);
  });
});

type Damage = (cluster: string) => Promise<void>;

describe('a data directory that is not sound ends in one line', () => {
  const damages: [what: string, damage: Damage, reason: RegExp][] = [
    ['no cluster at all', emptied('notes.txt', 'hello'), /is not empty and not a PostgreSQL cluster/],
    ['no control file', (pg) => rm(join(pg, 'global', 'pg_control')), /not a PostgreSQL cluster/],
    ['a control file of zeros', filled('global/pg_control', Buffer.alloc(8192)), /incompatible.*PG_CONTROL_VERSION 0/],
    ['another major version', filled('PG_VERSION', '14\n'), /initialized by PostgreSQL version 14/],
    ['garbage in the write-ahead log', garbageWal, /valid checkpoint record/],
    ['no tables', (pg) => rm(join(pg, 'base'), { recursive: true }), /does not exist|missing|base/],
  ];

  it.each(damages)('%s', async (_what, damage, reason) => {
    const dir = await copyOfSound();
    const cluster = join(dir, 'pg');
    await damage(cluster);
    const before = await readdir(cluster);
    const failure = await EmbeddedPostgres.open(dir).catch((error: Error) => error);
    expect(failure).toMatchObject({ name: 'StartupError', message: expect.stringMatching(reason) });
    expect((failure as Error).message).toMatch(/^the embedded database in \S+ cannot be opened: [^\n]+DATA_DIR$/);
    expect(await readdir(dir)).toEqual(['pg']);
    expect(await readdir(cluster)).toEqual(expect.arrayContaining(before));
    expect((await readdir(cluster)).includes('PG_VERSION')).toBe(before.includes('PG_VERSION'));
  });
});

function emptied(file: string, content: string): Damage {
  return async (cluster) => {
    await rm(cluster, { recursive: true });
    await mkdir(cluster);
    await writeFile(join(cluster, file), content);
  };
}

function filled(file: string, content: string | Buffer): Damage {
  return (cluster) => writeFile(join(cluster, file), content);
}

async function garbageWal(cluster: string): Promise<void> {
  const wal = join(cluster, 'pg_wal');
  for (const name of await readdir(wal)) {
    if (/^[0-9A-F]{24}$/.test(name)) await writeFile(join(wal, name), Buffer.alloc(100_000, 0x5a));
  }
}

function streamOf(client: pg.Client): { write(bytes: Buffer): void; destroy(): void } {
  return (client as unknown as { connection: { stream: { write(bytes: Buffer): void; destroy(): void } } }).connection
    .stream;
}
