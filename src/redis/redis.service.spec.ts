import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type RedisServer, startRedis } from '../../test/support/services.js';
import { until } from '../../test/support/until.js';
import { createLog } from '../logging/logger.js';
import { RedisService } from './redis.service.js';

let server: RedisServer;
beforeAll(async () => void (server = await startRedis()));
afterAll(() => server.stop());

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** @returns the service and the lines that it has logged, "level message" */
function serviceAt(url: string | undefined): { redis: RedisService; lines: string[]; text: () => string } {
  const raw: string[] = [];
  const lines: string[] = [];
  const write = (line: string): void => {
    raw.push(line);
    const { level, msg } = JSON.parse(line) as { level: string; msg: string };
    lines.push(`${level} ${msg}`);
  };
  const redis = new RedisService(url, createLog({ LOG_LEVEL: 'trace', REPLICA_ID: 'r' }, { write }));
  cleanUps.push(() => redis.close());
  return { redis, lines, text: () => raw.join('') };
}

const answers = (redis: RedisService): Promise<boolean> => redis.ping().then(() => true);
const timed = async (work: Promise<unknown>): Promise<{ ms: number; error: unknown }> => {
  const started = performance.now();
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { ms: performance.now() - started, error };
};

/** A way to Redis that can go silent without closing, as a frozen server or a lost route does. */
async function freezable(): Promise<{ url: string; freeze: () => void }> {
  const sockets: Socket[] = [];
  const proxy = createServer((client) => {
    const target = connect(server.port, '127.0.0.1');
    for (const socket of [client, target]) sockets.push(socket.on('error', () => undefined));
    client.pipe(target).pipe(client);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  cleanUps.push(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const freeze = (): void => sockets.forEach((socket) => socket.unpipe().pause());
  return { url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`, freeze };
}

const BACK = ['info Redis is connected', 'warn Redis cannot be reached (REDIS_URL); trying on', 'info Redis is back'];

describe('Redis connection (A-11)', () => {
  it('without REDIS_URL there is nothing to ask, and nothing fails', async () => {
    const { redis } = serviceAt(undefined);
    redis.start();
    await redis.ping();
    expect([redis.configured, redis.client]).toEqual([false, undefined]);
    await redis.close();
  });

  it('contacts nobody before start(), then answers', async () => {
    const { redis, lines } = serviceAt(server.url);
    expect([redis.configured, redis.client?.status]).toEqual([true, 'wait']);
    redis.start();
    await until(() => answers(redis), { what: 'ping' });
    expect(lines).toEqual(BACK.slice(0, 1));
  });

  it('start() twice does no harm', async () => {
    const { redis, lines } = serviceAt(server.url);
    redis.start();
    redis.start();
    await until(() => answers(redis), { what: 'ping' });
    expect(lines).toEqual(BACK.slice(0, 1));
  });

  it('an outage is one line; meanwhile commands fail at once; it comes back by itself', async () => {
    const { redis, lines } = serviceAt(server.url);
    redis.start();
    await until(() => answers(redis), { what: 'ping' });
    await server.kill();
    await until(() => lines.length === 2, { what: 'the line' });

    let attempts = 0;
    redis.client?.on('reconnecting', () => (attempts += 1));
    await until(() => attempts >= 2, { what: 'two attempts' });
    const { ms, error } = await timed(redis.ping());
    expect(error).toBeInstanceOf(Error);
    expect(ms).toBeLessThan(500);
    await expect(redis.client?.get('x')).rejects.toThrow();

    await server.restart();
    await until(() => answers(redis), { what: 'ping', timeoutMs: 10_000 });
    expect(lines).toEqual(BACK);
  });

  it('a second outage has its own line', async () => {
    const { redis, lines } = serviceAt(server.url);
    redis.start();
    await until(() => answers(redis), { what: 'ping' });
    for (const outage of [1, 2]) {
      await server.kill();
      await until(() => lines.length === 2 * outage, { what: 'the line' });
      await server.restart();
      await until(() => answers(redis), { what: 'ping', timeoutMs: 10_000 });
    }
    expect(lines).toEqual([...BACK, ...BACK.slice(1)]);
  });

  it('Redis that comes after us is found, and no one waited for it', async () => {
    await server.kill();
    const { redis, lines } = serviceAt(server.url);
    redis.start();
    await until(() => lines.length === 1, { what: 'the line' });
    expect((await timed(redis.ping())).error).toBeInstanceOf(Error);
    await server.restart();
    await until(() => answers(redis), { what: 'ping', timeoutMs: 10_000 });
    expect(lines).toEqual(BACK.slice(1));
  });

  it('a Redis that is connected and silent fails a ping within about a second, again and again', async () => {
    const { url, freeze } = await freezable();
    const { redis } = serviceAt(url);
    redis.start();
    await until(() => answers(redis), { what: 'ping' });
    freeze();
    for (const { ms, error } of await Promise.all([timed(redis.ping()), timed(redis.ping())])) {
      expect(String(error)).toBe('Error: no answer in 1000 ms');
      expect(ms).toBeGreaterThan(900);
      expect(ms).toBeLessThan(2_000);
    }
  });

  it('S-4: never logs the password', async () => {
    const { redis, lines, text } = serviceAt(`redis://:s3cr3t@127.0.0.1:1`);
    redis.start();
    await until(() => lines.length > 0, { what: 'the line' });
    const wrong = serviceAt(server.url.replace('redis://', 'redis://me:s3cr3t@'));
    wrong.redis.start();
    await until(() => wrong.lines.length > 0, { what: 'the line' });
    expect(text() + wrong.text()).not.toContain('s3cr3t');
  });

  it('close() is remembered, ends what waits and every attempt', async () => {
    const { url, freeze } = await freezable();
    const { redis } = serviceAt(url);
    redis.start();
    await until(() => answers(redis), { what: 'ping' });
    freeze();
    const pending = timed(redis.ping());
    const closing = redis.close();
    expect(redis.close()).toBe(closing);
    await closing;
    expect((await pending).error).toBeInstanceOf(Error);
    await until(() => redis.client?.status === 'end', { what: 'the end' });
    await expect(redis.ping()).rejects.toThrow();
    expect(redis.client?.status).toBe('end');
  });

  it('close() while Redis is away stops trying', async () => {
    const away = [serviceAt('redis://127.0.0.1:1').redis, serviceAt('redis://127.0.0.1:1').redis] as const;
    const attempts = [0, 0];
    away.forEach((redis, index) => redis.client?.on('connecting', () => (attempts[index]! += 1)));
    for (const redis of away) redis.start();
    await until(() => Math.min(...attempts) >= 2, { what: 'attempts of both' });
    await away[0].close();
    const [before] = attempts;
    const rival = attempts[1]!;
    await until(() => attempts[1]! >= rival + 2, { what: 'two more attempts of the one that is not closed' });
    expect(attempts[0]).toBe(before);
  });
});
