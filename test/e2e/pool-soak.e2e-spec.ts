import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { built } from '../support/built.js';
import { TEST_ENCRYPTION_KEY } from '../support/replica.js';
import { createDatabase, type TestDatabase } from '../support/services.js';
import { figures } from './pool-world.support.js';

const SESSIONS = 200;

interface Report {
  readonly opened: number;
  readonly terminated: number;
  readonly before: { readonly fds: number };
  readonly after: { readonly fds: number; readonly active: number };
  readonly checks: Readonly<Record<string, boolean>>;
}

describe('bench/pool-soak.mjs (P-10, P-11)', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    await built();
    database = await createDatabase();
  }, 120_000);
  afterAll(() => database.drop());

  it(`${SESSIONS} sessions through a real process: opened = terminated, descriptors and heap back`, async () => {
    const args = ['bench/pool-soak.mjs', '--sessions', String(SESSIONS), '--ttl', '0.3', '--json'];
    const env = { ...process.env, DATABASE_URL: database.url, ENCRYPTION_KEY: TEST_ENCRYPTION_KEY };
    // It exits with 1 when a check fails; the report says which.
    const run = promisify(execFile)(process.execPath, args, { env });
    const { stdout } = await run.catch((error: { stdout: string; stderr: string }) => {
      if (error.stdout) return error;
      throw new Error(`it failed: ${error.stderr}`);
    });
    const { opened, terminated, before, after, checks } = JSON.parse(stdout) as Report;
    figures('soak', {
      opened,
      terminated,
      'left open': after.active,
      'fds before': before.fds,
      'fds after': after.fds,
    });
    expect(Object.entries(checks).filter(([, holds]) => !holds)).toEqual([]);
    expect(opened).toBeGreaterThanOrEqual(SESSIONS);
    expect(terminated).toBe(opened);
  });
});
