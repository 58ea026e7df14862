/** The result of conformance runs as Markdown tables, a row a scenario. */
import { failures, score, SUITE_NAMES } from './suites.mjs';
import { WAY_NAMES, WAY_TITLES } from './ways.mjs';

/** @typedef {import('./suites.mjs').Run} Run */
/** @typedef {import('./suites.mjs').SuiteName} SuiteName */
/** @typedef {import('./ways.mjs').WayName} WayName */
/** @typedef {{ readonly push: boolean, readonly way: WayName, readonly run: Run }} Result */

const TOTAL = '**passed of scored**';
const NOT_RUN = '–';
const LINE_LENGTH = 200;

/** A section for each suite. @param {readonly Result[]} results */
export function sections(results) {
  return SUITE_NAMES.map((suite) => `### ${suite}\n\n${table(results.filter(({ run }) => run.suite === suite))}\n`);
}

/** @param {readonly Result[]} results of one suite */
function table(results) {
  const columns = [false, true].flatMap((push) => WAY_NAMES.map((way) => ({ push, way })));
  const cells = columns.map(({ push, way }) => {
    const result = results.find((one) => one.push === push && one.way === way);
    return result ? cellsOf(result.run) : {};
  });
  const names = new Set(cells.flatMap((column) => Object.keys(column)).filter((name) => name !== TOTAL));
  return [
    row(['Scenario', ...columns.map(({ push, way }) => columnTitle(push, way))]),
    row(['---', ...columns.map(() => ':-:')]),
    ...[...names, TOTAL].map((name) => row([name, ...cells.map((column) => column[name] ?? NOT_RUN)])),
  ].join('\n');
}

/** @param {boolean} push @param {WayName} way */
export function columnTitle(push, way) {
  return push ? `${WAY_TITLES[way]}, push` : WAY_TITLES[way];
}

/** The column of a run, by the first cell of its row. @param {Run} run @returns {Record<string, string>} */
export function cellsOf(run) {
  const { passed, scored } = score(run);
  const cells = run.scenarios.map((one) => [
    one.scored ? one.name : `${one.name} (not scored)`,
    one.passed ? '✓' : '✗',
  ]);
  return { ...Object.fromEntries(cells), [TOTAL]: `${passed} of ${scored}` };
}

/** One run in lines, for a terminal. @param {Run} run */
export function report(run) {
  const { passed, scored } = score(run);
  const failed = run.scenarios.filter((scenario) => !scenario.passed);
  return [
    `${run.suite}: ${passed} passed of ${scored} (${run.seconds.toFixed(1)} s)`,
    ...failed.flatMap((scenario) => [
      `  failed: ${scenario.name}${scenario.scored ? '' : ' (not scored)'}`,
      ...failures(scenario).map((line) => `    ${line.slice(0, LINE_LENGTH)}`),
    ]),
    ...(run.unfinished === undefined ? [] : [`  the suite did not finish, ${run.unfinished}`]),
  ].join('\n');
}

/** @param {readonly string[]} cells */
function row(cells) {
  return `| ${cells.join(' | ')} |`;
}
