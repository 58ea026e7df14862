/**
 * `npm run conformance -- URL [0.1.16|2025-11-25] [--prefix NAME-]` runs the official suites against any MCP endpoint;
 * `--prefix` when it puts that before the names of tools and prompts. Exit code 1 if a scored scenario fails.
 *
 * `npm run conformance -- --table` runs all of them against the fixture, directly and through the built gateway, and
 * writes the tables of docs/conformance.md.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as prettier from 'prettier';
import { startPrefixProxy } from './prefix-proxy.mjs';
import { startFixture, startService } from './processes.mjs';
import { runSuite, score, SUITE_NAMES } from './suites.mjs';
import { columnTitle, report, sections } from './table.mjs';
import { openWays, WAY_NAMES } from './ways.mjs';

/** @typedef {import('./table.mjs').Result} Result */

const PAGE = fileURLToPath(new URL('../../docs/conformance.md', import.meta.url));
const USAGE = `usage: npm run conformance -- URL [${SUITE_NAMES.join('|')}] [--prefix NAME-]
       npm run conformance -- --table`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { table: { type: 'boolean', default: false }, prefix: { type: 'string', default: '' } },
});
const [url, only] = positionals;
const suites = SUITE_NAMES.filter((suite) => only === undefined || suite === only);

if (values.table) await writeTables();
else if (url === undefined || suites.length === 0) {
  console.error(USAGE);
  process.exitCode = 2;
} else process.exitCode = (await runAgainst(url, values.prefix)) ? 0 : 1;

/** @param {string} target @param {string} prefix @returns {Promise<boolean>} whether everything that is scored passes */
async function runAgainst(target, prefix) {
  const proxy = prefix === '' ? undefined : await startPrefixProxy(target, prefix);
  let good = true;
  for (const suite of suites) {
    const run = await runSuite(suite, proxy?.url ?? target);
    console.log(report(run));
    const { passed, scored } = score(run);
    good &&= run.unfinished === undefined && scored > 0 && passed === scored;
  }
  await proxy?.close();
  return good;
}

async function writeTables() {
  const results = [...(await resultsOf(false)), ...(await resultsOf(true))];
  const page = await readFile(PAGE, 'utf8');
  const tables = sections(results).join('\n');
  const text = page.replace(
    /(<!-- tables -->\n)[\s\S]*?(<!-- end of tables -->)/,
    (_, from, to) => `${from}\n${tables}\n${to}`,
  );
  await writeFile(PAGE, await prettier.format(text, { ...(await prettier.resolveConfig(PAGE)), filepath: PAGE }));
}

/** @param {boolean} push @returns {Promise<Result[]>} */
async function resultsOf(push) {
  const dataDir = await mkdtemp(join(tmpdir(), 'conformance-gateway-'));
  /** @type {(() => Promise<void>)[]} */
  const cleanups = [() => rm(dataDir, { recursive: true, force: true })];
  try {
    const fixture = await startFixture({ push });
    cleanups.push(fixture.close);
    const service = await startService(dataDir);
    cleanups.push(service.close);
    const ways = await openWays(fixture.url, service.url);
    cleanups.push(ways.close);
    return await runAll(ways, push);
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}

/** @param {import('./ways.mjs').Ways} ways @param {boolean} push @returns {Promise<Result[]>} */
async function runAll(ways, push) {
  /** @type {Result[]} */
  const results = [];
  for (const way of WAY_NAMES) {
    for (const suite of SUITE_NAMES) {
      const run = await runSuite(suite, ways[way]);
      console.log(`${columnTitle(push, way)}: ${report(run)}`);
      results.push({ push, way, run });
    }
  }
  return results;
}
