/** Finds or starts the servers of a test run; the first way that works is taken. */
import { userInfo } from 'node:os';
import { canInstall, install, onPath, postgresBin } from './machine.mjs';
import { postgresProblem, redisProblem } from './probe.mjs';
import { startPostgres, startRedis } from './start.mjs';

/**
 * @typedef {{ url: string, how: string, stop: () => Promise<void> }} Service
 * @typedef {{ postgres: Service, redis: Service, runId: string }} TestServices what global-setup leaves for global-teardown
 * @typedef {object} Ways
 * @property {string} name
 * @property {string} variable environment variable with the URL
 * @property {string | undefined} given its value; a given server that cannot be used is an error, never passed over
 * @property {readonly string[]} local URLs of servers on the standard local port
 * @property {(url: string) => Promise<string | undefined>} problem
 * @property {() => boolean} present is its program on this machine?
 * @property {() => Promise<{ url: string, stop: () => Promise<void> }>} start
 * @property {string} debianPackage
 */

/** @param {{ given?: string | undefined, port?: number }} [options] @returns {Promise<Service>} */
export function providePostgres({ given = process.env['DATABASE_URL'], port = 5432 } = {}) {
  const users = [...new Set(['postgres', userInfo().username])];
  return provide({
    name: 'PostgreSQL',
    variable: 'DATABASE_URL',
    given,
    local: users.map((user) => `postgres://${encodeURIComponent(user)}@127.0.0.1:${port}/postgres`),
    problem: postgresProblem,
    present: () => postgresBin() !== undefined,
    start: startPostgres,
    debianPackage: 'postgresql',
  });
}

/** @param {{ given?: string | undefined, port?: number }} [options] @returns {Promise<Service>} */
export function provideRedis({ given = process.env['REDIS_URL'], port = 6379 } = {}) {
  return provide({
    name: 'Redis',
    variable: 'REDIS_URL',
    given,
    local: [`redis://127.0.0.1:${port}`],
    problem: redisProblem,
    present: () => onPath('redis-server') !== undefined,
    start: startRedis,
    debianPackage: 'redis-server',
  });
}

/** @param {Ways} ways @returns {Promise<Service>} */
async function provide(ways) {
  if (ways.given) return asGiven(ways, ways.given);
  for (const url of ways.local) {
    if ((await ways.problem(url)) === undefined) return { url, how: 'found', stop: async () => undefined };
  }
  if (!ways.present() && canInstall()) {
    await install(ways.debianPackage).catch((error) => fail(ways, `apt-get failed: ${firstLine(error)}`));
  }
  if (!ways.present()) fail(ways, 'none listens on the standard local port, none is on the PATH');
  const own = await ways.start();
  return { url: own.url, how: 'started', stop: () => own.stop() };
}

/** @param {Ways} ways @param {string} url @returns {Promise<Service>} */
async function asGiven(ways, url) {
  const problem = await ways.problem(url);
  if (problem !== undefined) throw oneLine(`${ways.variable} is set, but its server cannot be used: ${problem}`);
  return { url, how: ways.variable, stop: async () => undefined };
}

/** @param {Ways} ways @param {string} why @returns {never} */
function fail({ name, variable, debianPackage }, why) {
  throw oneLine(`the tests need a real ${name} (${why}): set ${variable}, or install it (Debian: ${debianPackage})`);
}

/** Jest prints the stack of an error in the set-up, which would bury the one line that helps. @param {string} message */
function oneLine(message) {
  return Object.assign(new Error(message), { stack: message });
}

/** @param {unknown} error */
function firstLine(error) {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 2).join(' ').trim();
}
