import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { built } from '../support/built.js';

const ROUNDS = 2;
const CALLS = 24;
const GROUPS = ['mcp', 'rpc', 'pool', 'pool10', 'pool10-alone'];

interface Summary {
  readonly name: string;
  readonly ok: number;
  readonly rps: { readonly min: number; readonly median: number; readonly max: number };
}

interface Result {
  readonly groups: readonly {
    readonly name: string;
    readonly targets: readonly Summary[];
    readonly ratios: Readonly<Record<string, { readonly min: number; readonly median: number; readonly max: number }>>;
  }[];
  readonly memory: { readonly calls: number; readonly rssMiB: number };
  readonly verdicts: readonly { readonly what: string; readonly value: number; readonly met: boolean }[];
  readonly calls: number;
  readonly wrong: number;
  readonly failed: number;
}

/** A few hundred calls: that the bench measures what it says, and that every answer is right. No figure is judged. */
describe('bench/bench.mjs', () => {
  beforeAll(async () => void (await built()), 120_000);

  it('gives right answers only, and every figure that docs/performance.md asks for', async () => {
    const size = ['--rounds', ROUNDS, '--calls', CALLS, '--memory-calls', 2 * CALLS, '--concurrency', 4].map(String);
    const env = { ...process.env, DATABASE_URL: process.env['TEST_DATABASE_URL'] };
    // It exits with 1 when an answer was wrong or a call failed; never for a figure, without --strict.
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['bench/bench.mjs', '--json', '--tries', '1', ...size],
      { env },
    );
    const result = JSON.parse(stdout) as Result;

    expect(result).toMatchObject({ wrong: 0, failed: 0, calls: 2 * CALLS + GROUPS.length * 2 * ROUNDS * CALLS });
    expect(result.groups.map(({ name }) => name)).toEqual(GROUPS);
    for (const { targets, ratios } of result.groups) {
      expect(targets.map(({ ok }) => ok)).toEqual([ROUNDS * CALLS, ROUNDS * CALLS]);
      for (const { rps } of targets) expect(rps.min).toBeGreaterThan(0);
      expect(Object.keys(ratios)).toEqual(['throughput', 'p50', 'p99', 'cpu', 'speed']);
    }
    expect(result.memory.calls).toBe(2 * CALLS);
    expect(result.memory.rssMiB).toBeGreaterThan(10);
    expect(result.verdicts).toHaveLength(10);
    // CPU time comes in ticks of 10 ms, which so few calls may not fill.
    const unmeasured = result.verdicts.filter(({ what, value }) => !(value > 0) && !what.endsWith('cpu'));
    expect(unmeasured).toEqual([]);
  });
});
