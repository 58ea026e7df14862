import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { losses } from '../conformance/compare.mjs';
import { type Started, startFixture } from '../conformance/processes.mjs';
import { type Run, runSuite, score, SUITE_NAMES, type SuiteName } from '../conformance/suites.mjs';
import { cellsOf, columnTitle } from '../conformance/table.mjs';
import { openWays, WAY_TITLES, type WayName, type Ways } from '../conformance/ways.mjs';
import { tableRows } from '../support/markdown.js';
import { type Replica, startReplica } from '../support/replica.js';
import { createDatabase, type TestDatabase } from '../support/services.js';

/** Of one run. It takes two to five seconds; each wait for something that never comes adds eight. */
const RUN_LIMIT_MS = 60_000;
const TEST_LIMIT_MS = RUN_LIMIT_MS + 15_000;

const SCENARIOS: Readonly<Record<SuiteName, number>> = { '0.1.16': 32, '2025-11-25': 30 };
const PAGE = readFileSync(new URL('../../docs/conformance.md', import.meta.url), 'utf8');

/** The official suites, as published, against the fixture server and against the gateway in front of it. */
describe.each([
  { push: false, how: 'asks the client on the stream of the call' },
  { push: true, how: 'asks the client on its GET stream' },
])('a server that $how (PUSH: $push)', ({ push }) => {
  let database: TestDatabase;
  let fixture: Started;
  let replica: Replica;
  let ways: Ways;
  const direct = {} as Record<SuiteName, Run>;

  beforeAll(async () => {
    database = await createDatabase();
    [fixture, replica] = await Promise.all([startFixture({ push }), startReplica({ DATABASE_URL: database.url })]);
    ways = await openWays(fixture.url, replica.url);
    // Side by side, to save time: they meet nobody. Through the gateway each has it to itself.
    const runs = await Promise.all(SUITE_NAMES.map((suite) => runSuite(suite, ways.direct, RUN_LIMIT_MS)));
    for (const run of runs) direct[run.suite] = run;
  }, TEST_LIMIT_MS);

  afterAll(async () => {
    await ways.close();
    await replica.close();
    await fixture.close();
    await database.drop();
  });

  describe.each(SUITE_NAMES)('%s', (suite) => {
    it(`asked directly, passes all ${SCENARIOS[suite]}, and what is not scored too`, () => {
      expect(losses(direct[suite], direct[suite])).toEqual([]);
      expect(direct[suite].scenarios.filter(({ passed }) => !passed)).toEqual([]);
      expect(score(direct[suite])).toEqual({ passed: SCENARIOS[suite], scored: SCENARIOS[suite] });
      expect(cellsOf(direct[suite])).toEqual(documented(suite, push, 'direct'));
    });

    it.each([
      { way: 'one', endpoint: WAY_TITLES.one },
      { way: 'all', endpoint: WAY_TITLES.all },
    ] as const)(
      'through $endpoint nothing of it is lost (D-6, D-7, D-8, G-10)',
      async ({ way }) => {
        const through = await runSuite(suite, ways[way], RUN_LIMIT_MS);
        expect(losses(direct[suite], through)).toEqual([]);
        expect(score(through)).toEqual(score(direct[suite]));
        expect(cellsOf(through)).toEqual(documented(suite, push, way));
      },
      TEST_LIMIT_MS,
    );
  });
});

/** The column of docs/conformance.md; `npm run conformance -- --table` writes it. */
function documented(suite: SuiteName, push: boolean, way: WayName): Record<string, string | undefined> {
  const section = PAGE.split(/^### /m).find((text) => text.startsWith(`${suite}\n`)) ?? '';
  const title = columnTitle(push, way);
  return Object.fromEntries(tableRows(section, 'Scenario').map((row) => [row['Scenario'] ?? '', row[title]] as const));
}

describe('the comparison', () => {
  const ok = { id: 'a', status: 'SUCCESS' };
  const warned = { id: 'a', status: 'WARNING', errorMessage: 'slow' };
  const run = (passed: boolean, ...checks: Run['scenarios'][number]['checks']): Run => ({
    suite: '0.1.16',
    scenarios: [{ name: 'x', passed, scored: true, checks }],
    seconds: 1,
  });

  it.each([
    ['nothing', run(true, ok, ok), []],
    ['nothing, when a check does not apply', run(true, ok, { ...ok, status: 'INFO' }), []],
    ['a failed scenario', run(false, { ...ok, status: 'FAILURE', errorMessage: 'no' }), ['x: a: no']],
    ['a scenario that did not end', run(false), ['x: did not end']],
    ['a scenario that was not run', { ...run(true), scenarios: [] }, ['x: was not run']],
    ['a check that did not come about', run(true), ['x: a, good 2 times, is now: not checked']],
    ['a warning', run(true, ok, warned), ['x: a, good 2 times, is now: SUCCESS; WARNING slow']],
    ['the rest of the suite', { ...run(true, ok, ok), unfinished: 'killed' }, ['the suite did not finish, killed']],
  ])('finds what is lost: %s', (_what, through, lost) => {
    expect(losses(run(true, ok, ok), through)).toEqual(lost);
  });
});
