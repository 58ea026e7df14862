import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const RUN_JEST = fileURLToPath(new URL('./run-jest.mjs', import.meta.url));

describe('npm test', () => {
  it('ends with one plain line of figures', async () => {
    const { code, lastLine } = await runJest('test/support/until.spec.ts', '-t', 'returns the first truthy answer');
    expect(lastLine).toBe('1 passed, 0 failed, 4 skipped');
    expect(code).toBe(0);
  });

  it('fails if no test was executed', async () => {
    const { code, lastLine, errors } = await runJest('test/support/until.spec.ts', '-t', 'no test has this title');
    expect(lastLine).toBe('0 passed, 0 failed, 5 skipped');
    expect(errors).toContain('no test was executed');
    expect(code).toBe(1);
  });
});

/** A run of its own, on the servers of this one. */
async function runJest(...args: string[]): Promise<{ code: number | null; lastLine: string; errors: string }> {
  const { TEST_DATABASE_URL: DATABASE_URL, TEST_REDIS_URL: REDIS_URL } = process.env;
  const child = spawn(process.execPath, [RUN_JEST, ...args], { env: { ...process.env, DATABASE_URL, REDIS_URL } });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  child.stderr.on('data', (chunk) => (errors += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, lastLine: output.trimEnd().split('\n').at(-1) ?? '', errors };
}
