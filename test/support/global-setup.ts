import { randomBytes } from 'node:crypto';
import { providePostgres, provideRedis, type TestServices } from './servers/provide.mjs';

/**
 * Once before all test files: finds or starts the servers and hands their URLs to the workers through the environment.
 * Values are not imported from other `.ts` files here (see servers/kept-server.mjs).
 */
export default async function globalSetup(): Promise<void> {
  // One after the other: both may have to be installed, and apt-get runs but once at a time.
  const postgres = await providePostgres();
  const redis = await provideRedis();
  const services: TestServices = { postgres, redis, runId: randomBytes(4).toString('hex') };
  process.env['TEST_DATABASE_URL'] = postgres.url;
  process.env['TEST_REDIS_URL'] = redis.url;
  process.env['TEST_RUN_ID'] = services.runId;
  Object.assign(globalThis, { testServices: services });
}
