import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { transformFile } from '@swc/core';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../../test/support/until.js';
import { openDatabase } from './open-database.js';

const SOURCES = fileURLToPath(new URL('..', import.meta.url));
const ROOMS = ['common', 'database'];

/** The program of the child: opens the database in the given directory and writes row after row. */
const WRITER = `
import { openDatabase } from './src/database/open-database.js';
try {
  const options = { dataDir: process.argv[2], poolSize: 1, connectTimeoutMs: 5000, entities: [], migrations: [] };
  const database = await openDatabase(options);
  process.once('SIGTERM', async () => { await database.close(); process.exit(0); });
  await database.dataSource.query('CREATE TABLE IF NOT EXISTS rows (id int PRIMARY KEY)');
  console.log('open');
  for (let id = 1; process.argv[3] === 'write'; id++) {
    await database.dataSource.query('INSERT INTO rows VALUES ($1)', [id]);
    console.log(id);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
`;

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'processes-'));
  for (const room of ROOMS) await compile(room);
  await writeFile(join(root, 'package.json'), '{ "type": "module" }');
  await writeFile(join(root, 'writer.js'), WRITER);
  await symlink(join(SOURCES, '..', 'node_modules'), join(root, 'node_modules'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** The same sources that are under test, as plain JavaScript that a child process can run. */
async function compile(room: string): Promise<void> {
  for (const name of await readdir(join(SOURCES, room), { recursive: true })) {
    const target = join(root, 'src', room, name.replace(/\.ts$/, '.js'));
    await mkdir(dirname(target), { recursive: true });
    if (name.endsWith('.mjs')) await copyFile(join(SOURCES, room, name), target);
    if (!name.endsWith('.ts') || name.endsWith('.spec.ts') || name.endsWith('.module.ts')) continue;
    const { code } = await transformFile(join(SOURCES, room, name), {
      swcrc: false,
      module: { type: 'es6' },
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    });
    await writeFile(target, code);
  }
}

interface Run {
  readonly child: ChildProcess;
  readonly out: string[];
  readonly errors: string[];
  readonly exit: Promise<[code: number | null]>;
}

function run(dataDir: string, ...args: string[]): Run {
  const child = spawn(process.execPath, [join(root, 'writer.js'), dataDir, ...args]);
  const [out, errors]: [string[], string[]] = [[], []];
  child.stdout.setEncoding('utf8').on('data', (text: string) => out.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
  return { child, out, errors, exit: once(child, 'exit') as Promise<[number | null]> };
}

/** The rows that are there; none afterwards. */
async function takeIds(dataDir: string): Promise<number[]> {
  const options = { dataDir, poolSize: 1, connectTimeoutMs: 5_000, entities: [], migrations: [] };
  const database = await openDatabase(options);
  const rows: { id: number }[] = await database.dataSource.query('SELECT id FROM rows ORDER BY id');
  await database.dataSource.query('TRUNCATE rows');
  await database.close();
  return rows.map(({ id }) => id);
}

describe('the embedded database and other processes', () => {
  it('loses no acknowledged row by kill -9, three times over, and takes the dead lock over at once', async () => {
    const dataDir = join(root, 'data');
    for (let round = 1; round <= 3; round++) {
      const { child, out, exit } = run(dataDir, 'write');
      await until(() => out.join('').split('\n').length > 200, { what: '200 rows', timeoutMs: 20_000 });
      child.kill('SIGKILL');
      await exit;
      const acknowledged = out.join('').split('\n').slice(1, -1).map(Number);

      const ids = await takeIds(dataDir);
      expect(ids.slice(0, acknowledged.length)).toEqual(acknowledged);
      expect(ids.length - acknowledged.length).toBeLessThanOrEqual(1);
    }
  }, 90_000);

  it('survives a kill -9 in the middle of the very first start', async () => {
    const dataDir = join(root, 'first-start');
    const { child, exit } = run(dataDir);
    const initialising = async () => (await readdir(dataDir)).includes('pg.initialising');
    await until(initialising, { what: 'the first start', timeoutMs: 20_000 });
    await until(async () => (await readdir(join(dataDir, 'pg'))).includes('PG_VERSION'), {
      what: 'a part of the cluster',
      timeoutMs: 20_000,
    });
    child.kill('SIGKILL');
    await exit;

    const second = run(dataDir);
    await until(() => second.out.join('').includes('open'), { what: 'the second start', timeoutMs: 20_000 });
    second.child.kill('SIGTERM');
    expect(await second.exit).toEqual([0, null]);
    expect(await readdir(dataDir)).toEqual(['pg']);
  }, 60_000);

  it('refuses a second process on one directory with one line; the first goes on', async () => {
    const dataDir = join(root, 'data');
    const first = run(dataDir, 'write');
    await until(() => first.out.length > 1, { what: 'the first process', timeoutMs: 20_000 });

    const second = run(dataDir, 'write');
    expect((await second.exit)[0]).toBe(1);
    expect(second.errors.join('')).toMatch(/^DATA_DIR [^\n]+ is in use by process \d+ on host [^\n]+\n$/);
    expect(second.errors.join('')).toContain(`process ${first.child.pid} `);

    const written = first.out.length;
    await until(() => first.out.length > written, { what: 'more rows of the first process' });
    first.child.kill('SIGTERM');
    expect((await first.exit)[0]).toBe(0);
    expect(await readdir(dataDir)).toEqual(['pg']);
  }, 60_000);
});
