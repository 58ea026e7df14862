import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { built } from '../support/built.js';
import { TEST_ENCRYPTION_KEY } from '../support/replica.js';
import { createDatabase, type TestDatabase } from '../support/services.js';
import { figures } from './pool-world.support.js';

const RESULT_MB = 3;
const ARGUMENT_MB = 1;
/** Memory of so small a payload is noise of the runtime: `npm run bench:payload` looks at it with 50 MB. */
const ANY_FACTOR = 1_000;

interface Report {
  readonly rows: readonly { readonly what: string; readonly ms: number; readonly growth: number }[];
  readonly checks: Readonly<Record<string, boolean>>;
}

describe('bench/payload.mjs (D-7, S-6)', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    await built();
    database = await createDatabase();
  }, 120_000);
  afterAll(() => database.drop());

  it('large results and arguments pass through a real process as they were written; over the limit there is a clear error', async () => {
    const sizes = ['--result', String(RESULT_MB), '--argument', String(ARGUMENT_MB), '--factor', String(ANY_FACTOR)];
    const env = { ...process.env, DATABASE_URL: database.url, ENCRYPTION_KEY: TEST_ENCRYPTION_KEY };
    // It exits with 1 when a check fails; the report says which.
    const run = promisify(execFile)(process.execPath, ['bench/payload.mjs', ...sizes, '--json'], { env });
    const { stdout } = await run.catch((error: { stdout: string; stderr: string }) => {
      if (error.stdout) return error;
      throw new Error(`it failed: ${error.stderr}`);
    });
    const { rows, checks } = JSON.parse(stdout) as Report;
    figures(`${RESULT_MB} and ${ARGUMENT_MB} MB, ms`, Object.fromEntries(rows.map(({ what, ms }) => [what, ms])));
    expect(Object.entries(checks).filter(([, holds]) => !holds)).toEqual([]);
    expect(Object.keys(checks).length).toBe(17);
  }, 120_000);
});
