import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { built } from '../support/built.js';
import { figures } from './pool-world.support.js';

interface Times {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Result {
  readonly startMs: number;
  readonly firstPageMs: number;
  readonly tools: number;
  readonly pages: Times;
  readonly cold: Times;
  readonly coldQueries: number;
  readonly warm: Times;
  readonly warmQueries: number;
}

/** A small run on real processes: that it measures what it says. No time is judged; the queries are. */
describe('bench/catalogue.mjs (SPEC G-8)', () => {
  beforeAll(async () => void (await built()), 120_000);

  it('a warm call makes no query to Postgres, counted on the way to it; a cold one does', async () => {
    const args = ['bench/catalogue.mjs', '--gateways', '6', '--tools', '60', '--calls', '60', '--json'];
    const env = { ...process.env, DATABASE_URL: process.env['TEST_DATABASE_URL'] };
    const run = promisify(execFile)(process.execPath, args, { env });
    // It exits with 1 when a warm call made a query; the report says so.
    const { stdout } = await run.catch((error: { stdout: string; stderr: string }) => {
      if (error.stdout) return error;
      throw new Error(`it failed: ${error.stderr}`);
    });
    const result = JSON.parse(stdout) as Result;
    const { startMs, firstPageMs, cold, warm } = result;
    figures('catalogue', { startMs, firstPageMs, coldP50Ms: cold.p50Ms, warmP50Ms: warm.p50Ms });
    expect(result).toMatchObject({ tools: 360, pages: { count: 2 }, cold: { count: 6 }, warm: { count: 60 } });
    expect(result.coldQueries).toBeGreaterThanOrEqual(6);
    expect(result.warmQueries).toBe(0);
    for (const ms of [startMs, firstPageMs, warm.p50Ms, warm.p99Ms]) expect(ms).toBeGreaterThan(0);
  }, 120_000);
});
