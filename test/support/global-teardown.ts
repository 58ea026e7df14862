import { type TestServices } from './servers/provide.mjs';
import { sweepDatabases, sweepKeys } from './servers/sweep.mjs';

/** Once after all test files: stops what was started, cleans up on what was found. */
export default async function globalTeardown(): Promise<void> {
  const { testServices } = globalThis as { testServices?: TestServices };
  if (!testServices) return;
  const { postgres, redis, runId } = testServices;
  try {
    await Promise.all([sweepDatabases(postgres.url, runId), sweepKeys(redis.url, runId)]);
  } finally {
    await Promise.all([postgres.stop(), redis.stop()]);
  }
}
