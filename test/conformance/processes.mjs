/** The processes of a conformance run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** @typedef {{ readonly url: string, readonly close: () => Promise<void> }} Started */

const FIXTURE = fileURLToPath(new URL('fixture/server.mjs', import.meta.url));
const SERVICE = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
const START_LIMIT_MS = 30_000;

/**
 * The fixture server.
 *
 * @param {{ readonly push: boolean }} options push: its requests to the client ride the GET stream
 * @returns {Promise<Started>}
 */
export function startFixture({ push }) {
  return start([FIXTURE], { PUSH: push ? '1' : '' }, /^(http:\S+)$/m);
}

/**
 * The gateway as it was built, without authentication, with an embedded database.
 *
 * @param {string} dataDir
 * @returns {Promise<Started>}
 */
export function startService(dataDir) {
  return start([SERVICE], { PORT: '0', DATA_DIR: dataDir }, /"url":"(http:[^"]+)"/);
}

/**
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} env nothing but PATH and HOME is inherited
 * @param {RegExp} ready finds the URL in what it prints
 * @returns {Promise<Started>}
 */
async function start(args, env, ready) {
  const inherited = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' };
  const child = spawn(process.execPath, args, { env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
  const url = await new Promise((resolve, reject) => {
    const fail = () => reject(new Error(`${args[0]} did not start: ${output}`));
    const timer = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
    closed.then(fail, reject).finally(() => clearTimeout(timer));
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output = (output + text).slice(-10_000);
      const [, found] = ready.exec(output) ?? [];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    });
  });
  return {
    url,
    close: async () => {
      child.kill('SIGTERM');
      await closed;
    },
  };
}
