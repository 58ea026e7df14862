/** Runs one of the official MCP conformance suites, as published, against a URL and reads what it found. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {{ readonly id: string, readonly status: string, readonly errorMessage?: string }} Check
 * @typedef {object} Scenario
 * @property {string} name
 * @property {boolean} passed as the suite sees it: no check of it failed
 * @property {boolean} scored false: run, but not part of what the revision requires
 * @property {readonly Check[]} checks with SUCCESS, WARNING, FAILURE, or INFO: told, or not applicable
 * @typedef {object} Run
 * @property {SuiteName} suite
 * @property {readonly Scenario[]} scenarios in the order of the suite
 * @property {number} seconds
 * @property {string} [unfinished] why the suite did not come to its end; `scenarios` are then those that it came to
 */

const MODULES = fileURLToPath(new URL('../../node_modules/', import.meta.url));
const PRELOAD = new URL('preload.mjs', import.meta.url).href;
const LIMIT_MS = 120_000;

/** 0.1.16: all its server scenarios. 2025-11-25: what 0.2.0-alpha.12 has frozen as required by that revision. */
export const SUITES = /** @type {const} */ ({
  '0.1.16': { cli: 'conformance-016/dist/index.js', args: ['--suite', 'all'] },
  '2025-11-25': { cli: 'conformance-020/dist/index.js', args: ['--requirements', '2025-11-25'] },
});

/** @typedef {keyof typeof SUITES} SuiteName */

export const SUITE_NAMES = /** @type {readonly SuiteName[]} */ (Object.keys(SUITES));

/**
 * @param {SuiteName} suite
 * @param {string} url
 * @param {number} [limitMs] the suite is ended after that
 * @returns {Promise<Run>}
 */
export async function runSuite(suite, url, limitMs = LIMIT_MS) {
  const directory = await mkdtemp(join(tmpdir(), 'conformance-'));
  try {
    const { cli, args } = SUITES[suite];
    const started = performance.now();
    const command = ['--import', PRELOAD, join(MODULES, cli), 'server', '--url', url, '-o', directory, ...args];
    const { output, ended } = await execute(command, limitMs);
    const scenarios = await read(output, directory);
    const seconds = (performance.now() - started) / 1000;
    if (scenarios.length > 0 && output.includes('=== SUMMARY ===')) return { suite, scenarios, seconds };
    return { suite, scenarios, seconds, unfinished: `${ended}: ${output.slice(-500)}` };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What a run says in numbers: scenarios that are scored, and those of them that passed. @param {Run} run */
export function score({ scenarios }) {
  const scored = scenarios.filter((scenario) => scenario.scored);
  return { passed: scored.filter((scenario) => scenario.passed).length, scored: scored.length };
}

/** Its failed checks, a line each. @param {Scenario} scenario */
export function failures({ checks }) {
  const failed = checks.filter(({ status }) => status === 'FAILURE');
  return failed.map(({ id, errorMessage }) => (errorMessage === undefined ? id : `${id}: ${errorMessage}`));
}

/**
 * Exit codes are not looked at: 1 is a failed scenario, about which the output says more.
 *
 * @param {readonly string[]} args
 * @param {number} limitMs
 * @returns {Promise<{ output: string, ended: string }>}
 */
function execute(args, limitMs) {
  const options = { timeout: limitMs, killSignal: /** @type {const} */ ('SIGKILL'), maxBuffer: 64 * 1024 * 1024 };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      const ended = error?.killed ? `ended after ${limitMs} ms` : `exit code ${error?.code ?? 0}`;
      resolve({ output: stdout + stderr, ended });
    });
  });
}

/** @param {string} output @param {string} directory @returns {Promise<Scenario[]>} */
async function read(output, directory) {
  const names = [...output.matchAll(/^=== Running scenario: (\S+) ===$/gm)].map(([, name]) => String(name));
  const folders = await readdir(directory);
  const [summary = '', unscored = ''] = output.slice(output.lastIndexOf('=== SUMMARY ===')).split('\nNot scored');
  const passed = new Set([...summary.matchAll(/^✓ (\S+): /gm)].map(([, name]) => name));
  const notScored = new Set([...unscored.matchAll(/^ +[✓✗] (\S+) \(/gm)].map(([, name]) => name));
  return Promise.all(
    names.map(async (name) => ({
      name,
      passed: passed.has(name),
      scored: !notScored.has(name),
      checks: await checksOf(join(directory, folders.find((folder) => isOf(folder, name)) ?? '', 'checks.json')),
    })),
  );
}

/** A folder is called `server-<scenario>-<time>`. @param {string} folder @param {string} scenario */
function isOf(folder, scenario) {
  return folder.startsWith(`server-${scenario}-`) && /^\d{4}-\d\d-\d\dT/.test(folder.slice(scenario.length + 8));
}

/** None for a scenario that did not end. @param {string} file @returns {Promise<Check[]>} */
async function checksOf(file) {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return [];
  }
}
