import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createDatabase, freshKeyPrefix, redisUrl, startRedis } from './services.js';
import { freePort } from './servers/machine.mjs';
import { query, redisProblem, withRedis } from './servers/probe.mjs';
import { providePostgres, provideRedis } from './servers/provide.mjs';
import { startPostgres } from './servers/start.mjs';
import { sweepDatabases, sweepKeys } from './servers/sweep.mjs';
import { until } from './until.js';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(cleanUps.splice(0).map((cleanUp) => cleanUp()));
});

describe('a database for each test file', () => {
  it('is empty, its own, and gone after drop even if somebody is connected', async () => {
    const [one, other] = await Promise.all([createDatabase(), createDatabase()]);
    cleanUps.push(
      () => one.drop(),
      () => other.drop(),
    );
    await query(one.url, 'CREATE TABLE t (id int)');
    await expect(query(other.url, 'SELECT * FROM t')).rejects.toThrow('does not exist');

    const sleeper = expect(query(one.url, 'SELECT pg_sleep(60)')).rejects.toThrow();
    const name = new URL(one.url).pathname.slice(1);
    const connected = `SELECT 1 FROM pg_stat_activity WHERE datname = '${name}' AND wait_event = 'PgSleep'`;
    await until(async () => (await query(other.url, connected)).length > 0, { what: 'a connected client' });
    await one.drop();
    await sleeper;
    await expect(query(one.url, 'SELECT 1')).rejects.toThrow('does not exist');
  });

  it('is removed with the keys at the end of the run if its test did not', async () => {
    const postgres = process.env['TEST_DATABASE_URL'] ?? '';
    const runId = randomBytes(4).toString('hex');
    const other = freshKeyPrefix();
    await query(postgres, `CREATE DATABASE t_${runId}_a TEMPLATE template0`);
    await withRedis(redisUrl(), (redis) => redis.mset(`t:${runId}:a:x`, '1', `${other}x`, '1'));

    await Promise.all([sweepDatabases(postgres, runId), sweepKeys(redisUrl(), runId)]);

    expect(await query(postgres, `SELECT 1 FROM pg_database WHERE datname = 't_${runId}_a'`)).toEqual([]);
    expect(await withRedis(redisUrl(), (redis) => redis.mget(`t:${runId}:a:x`, `${other}x`))).toEqual([null, '1']);
  });
});

describe('a key prefix for each test file', () => {
  it('is new and one that REDIS_KEY_PREFIX accepts', () => {
    expect(freshKeyPrefix()).toMatch(/^[A-Za-z0-9:_.-]{1,64}$/);
    expect(freshKeyPrefix()).not.toBe(freshKeyPrefix());
  });
});

describe('an own Redis', () => {
  it('can be killed, and restarted on the same port without its data', async () => {
    const redis = await startRedis();
    cleanUps.push(redis.stop);
    await withRedis(redis.url, (client) => client.set('k', 'v'));

    await redis.kill();
    expect(await redisProblem(redis.url)).toContain('ECONNREFUSED');

    await redis.restart();
    expect(await withRedis(redis.url, (client) => client.get('k'))).toBeNull();

    await Promise.all([redis.stop(), redis.stop()]);
    expect(await redisProblem(redis.url)).toContain('ECONNREFUSED');
  });

  it('ends with its directory when the process that started it is killed', async () => {
    const owner = fork(fileURLToPath(new URL('./servers/owner.fixture.mjs', import.meta.url)), { execArgv: [] });
    const { url, directory } = await new Promise<{ url: string; directory: string }>((resolve) =>
      owner.once('message', (message) => resolve(message as { url: string; directory: string })),
    );
    expect(await redisProblem(url)).toBeUndefined();
    expect(existsSync(directory)).toBe(true);

    owner.kill('SIGKILL');

    await until(async () => (await redisProblem(url))?.includes('ECONNREFUSED'), { what: 'Redis ended' });
    await until(() => !existsSync(directory), { what: 'directory removed' });
  });
});

describe('an own PostgreSQL', () => {
  it('starts, lets us create databases and stops', async () => {
    const postgres = await startPostgres();
    cleanUps.push(postgres.stop);
    await query(postgres.url, 'CREATE DATABASE x');
    const [row] = await query(postgres.url, 'SHOW data_directory');

    await postgres.stop();

    await expect(query(postgres.url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
    expect(existsSync(String(row.data_directory))).toBe(false);
  });
});

describe('which servers a test run uses', () => {
  it('takes the given ones', async () => {
    const given = process.env['TEST_DATABASE_URL'];
    expect(await providePostgres({ given })).toMatchObject({ url: given, how: 'DATABASE_URL' });
    expect(await provideRedis({ given: redisUrl() })).toMatchObject({ url: redisUrl(), how: 'REDIS_URL' });
  });

  it('does not pass over a given one that cannot be used', async () => {
    const port = await freePort();
    await expect(providePostgres({ given: `postgres://postgres@127.0.0.1:${port}/postgres` })).rejects.toThrow(
      `DATABASE_URL is set, but its server cannot be used: connect ECONNREFUSED 127.0.0.1:${port}`,
    );
    await expect(provideRedis({ given: `redis://127.0.0.1:${port}` })).rejects.toThrow(
      /^REDIS_URL is set, but its server cannot be used: .*ECONNREFUSED/,
    );
  });

  it('takes the one on the standard local port', async () => {
    const redis = await startRedis();
    cleanUps.push(redis.stop);
    expect(await provideRedis({ given: '', port: redis.port })).toMatchObject({ url: redis.url, how: 'found' });
  });

  it('starts one when whatever listens there lets us not in', async () => {
    const stranger = createServer((socket) => socket.resume().end('220 not for you\r\n'));
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    cleanUps.push(() => new Promise((resolve) => stranger.close(resolve)));
    const { port } = stranger.address() as { port: number };

    const [postgres, redis] = await Promise.all([
      providePostgres({ given: '', port }),
      provideRedis({ given: '', port }),
    ]);
    cleanUps.push(postgres.stop, redis.stop);

    expect([postgres.how, redis.how]).toEqual(['started', 'started']);
    expect(await query(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});
