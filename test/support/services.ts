import { randomBytes } from 'node:crypto';
import { query } from './servers/probe.mjs';
import { type OwnServer, startRedis as start } from './servers/start.mjs';

/** A Redis of the test's own, to be killed and restarted. */
export type RedisServer = OwnServer;

export interface TestDatabase {
  readonly url: string;
  /** Closes whatever is still connected. */
  drop(): Promise<void>;
}

/** URL of the Redis that all test files share; use it with a `freshKeyPrefix()`. */
export function redisUrl(): string {
  return handedOver('TEST_REDIS_URL');
}

/** An own server on a free port, in an own directory; it ends with this process at the latest. */
export function startRedis(): Promise<RedisServer> {
  return start();
}

/** A new, empty database on the server of this test run; one for each test file. */
export async function createDatabase(): Promise<TestDatabase> {
  const server = handedOver('TEST_DATABASE_URL');
  const name = `t_${handedOver('TEST_RUN_ID')}_${randomBytes(6).toString('hex')}`;
  // template0, because nobody can be connected to it: a connection to template1 would make this fail.
  await query(server, `CREATE DATABASE ${name} TEMPLATE template0`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.toString(),
    drop: async () => {
      await query(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** For REDIS_KEY_PREFIX: no other test uses it, and what stays under it is removed when the run ends. */
export function freshKeyPrefix(): string {
  return `t:${handedOver('TEST_RUN_ID')}:${randomBytes(6).toString('hex')}:`;
}

function handedOver(name: 'TEST_DATABASE_URL' | 'TEST_REDIS_URL' | 'TEST_RUN_ID'): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with test/jest.config.js (its global set-up sets it)`);
  return value;
}
