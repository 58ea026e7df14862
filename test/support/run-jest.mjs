/**
 * `npm test`: runs Jest with our configuration, passes the arguments and signals through, and ends with one plain line:
 * `N passed, N failed[, N skipped]`. The exit code is that of Jest, and 1 if no test was executed.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const JEST = join(ROOT, 'node_modules/jest/bin/jest.js');
// Jest hands the options of its own process to its workers, so NODE_OPTIONS is not needed (every child would inherit it).
const NODE_ARGS = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
/** With these Jest tells something and runs no test. */
const TELLING = ['--help', '-h', '--version', '-v', '--showConfig', '--listTests', '--clearCache'];

const args = process.argv.slice(2);
const telling = args.some((arg) => TELLING.includes(arg));
const directory = mkdtempSync(join(tmpdir(), 'jest-result-'));
const resultFile = join(directory, 'result.json');

try {
  const code = await jest(telling ? args : [...args, '--json', '--outputFile', resultFile]);
  process.exitCode = telling ? code : summarize(code);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** @param {readonly string[]} jestArgs @returns {Promise<number>} */
function jest(jestArgs) {
  const config = ['--config', join(ROOT, 'test/jest.config.js')];
  const child = spawn(process.execPath, [...NODE_ARGS, JEST, ...config, ...jestArgs], { cwd: ROOT, stdio: 'inherit' });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
    process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 1)));
  });
}

/** Prints the last line. @param {number} code of Jest @returns {number} exit code */
function summarize(code) {
  const finished = existsSync(resultFile);
  const { passed, failed, skipped } = finished ? count() : { passed: 0, failed: 0, skipped: 0 };
  const executed = passed + failed > 0;
  if (!finished) console.error(`Jest ended with code ${code} before it had a result`);
  else if (!executed) console.error('no test was executed, and that is a failure');
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  return code === 0 && (!executed || failed > 0) ? 1 : code;
}

/** A file that fails outside of its tests (it cannot be loaded, a hook of it throws) counts as one failed. */
function count() {
  const result = JSON.parse(readFileSync(resultFile, 'utf8'));
  const broken = result.testResults.filter(
    (/** @type {{ status: string, assertionResults: { status: string }[] }} */ file) =>
      file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  );
  return {
    passed: result.numPassedTests,
    failed: result.numFailedTests + broken.length,
    skipped: result.numPendingTests + result.numTodoTests,
  };
}
