/** Removes what the test files of one run have left on servers that go on living (a crashed worker drops nothing). */
import { query, withRedis } from './probe.mjs';

/** @param {string} url @param {string} runId @returns {Promise<void>} */
export async function sweepDatabases(url, runId) {
  const rows = await query(url, `select datname from pg_database where datname like 't\\_${runId}\\_%'`);
  for (const { datname } of rows) await query(url, `DROP DATABASE IF EXISTS "${datname}" WITH (FORCE)`);
}

/** @param {string} url @param {string} runId @returns {Promise<void>} */
export async function sweepKeys(url, runId) {
  await withRedis(url, async (redis) => {
    for await (const keys of redis.scanStream({ match: `t:${runId}:*`, count: 1000 })) {
      if (keys.length > 0) await redis.unlink(keys);
    }
  });
}
