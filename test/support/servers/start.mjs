/** Starts PostgreSQL and Redis servers of our own: throw-away data, a free port, no sockets but 127.0.0.1. */
import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
import { KeptServer } from './kept-server.mjs';
import { freePort, onPath, postgresBin, temporary, unprivilegedUser } from './machine.mjs';
import { postgresProblem, redisProblem } from './probe.mjs';

const READY_DEADLINE_MS = 30_000;
const ATTEMPTS = 3;

/**
 * @typedef {object} OwnServer
 * @property {string} url
 * @property {number} port
 * @property {() => Promise<void>} stop ends it and removes its directory; remembered
 * @property {() => Promise<void>} kill SIGKILL; returns when it has ended
 * @property {() => Promise<void>} restart on the same port, without its data; returns when it answers
 */

/** @returns {Promise<OwnServer>} */
export function startPostgres() {
  const bin = postgresBin();
  if (!bin) throw new Error('there is no postgres on this machine');
  const user = unprivilegedUser();
  return onFreePort(postgresProblem, (port) => ({
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    spec: {
      name: 'test-postgres',
      temporary,
      ...(user ? { user } : {}),
      prepare: { file: join(bin, 'initdb'), args: INITDB },
      run: { file: join(bin, 'postgres'), args: ['-D', '{dir}/data', '-p', String(port), ...POSTGRES] },
      stopSignal: 'SIGINT', // "fast": does not wait for clients
    },
  }));
}

/** @returns {Promise<OwnServer>} */
export function startRedis() {
  const program = onPath('redis-server');
  if (!program) throw new Error('there is no redis-server on this machine');
  return onFreePort(redisProblem, (port) => ({
    url: `redis://127.0.0.1:${port}`,
    spec: {
      name: 'test-redis',
      temporary,
      run: { file: program, args: ['--port', String(port), ...REDIS] },
      stopSignal: 'SIGTERM',
    },
  }));
}

const INITDB = ['-D', '{dir}/data', '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
const POSTGRES = Object.entries({
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '300',
  // The data need not survive a power cut.
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
}).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
const REDIS = ['--bind', '127.0.0.1', '--dir', '{dir}', '--save', '', '--appendonly', 'no', '--daemonize', 'no'];

/**
 * @param {(url: string) => Promise<string | undefined>} problem
 * @param {(port: number) => { url: string, spec: import('./kept-server.mjs').ServerSpec }} plan
 * @returns {Promise<OwnServer>}
 */
async function onFreePort(problem, plan) {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const { url, spec } = plan(port);
    const server = KeptServer.open(spec);
    const launch = () => server.start().then(() => ready(server, () => problem(url)));
    try {
      await launch();
    } catch (error) {
      await server.stop();
      // Somebody may have taken the port between our asking and the server's listening.
      if (attempt < ATTEMPTS && /in use/i.test(String(error))) continue;
      throw error;
    }
    return {
      url,
      port,
      stop: () => server.stop(),
      kill: () => server.kill(),
      restart: () => server.kill().then(launch),
    };
  }
}

/** @param {KeptServer} server @param {() => Promise<string | undefined>} problem */
async function ready(server, problem) {
  const started = performance.now();
  for (;;) {
    if (server.lastWords !== undefined) throw new Error(`${server.spec.name} ended: ${server.lastWords.trim()}`);
    const answer = await problem();
    if (answer === undefined && server.lastWords === undefined) return;
    const elapsed = Math.round(performance.now() - started);
    if (elapsed > READY_DEADLINE_MS) throw new Error(`${server.spec.name} not ready after ${elapsed} ms: ${answer}`);
    await pause(20);
  }
}
