// What a measurement runs on: fixtures, the bare proxy, and built gateways as an operator runs them, with tokens, metrics
// and a real PostgreSQL.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';
import { request } from 'undici';
import { freshDatabase } from './database.mjs';
import { CLI, HERE, LISTENS, MAIN, Processes, READY } from './processes.mjs';

/** An MCP server that is registered under this name costs next to nothing, and this one 10 ms for an initialize. */
export const FREE = 'fx';
export const SLOW_START = 'fx10';
const SLOW_START_MS = 10;

export class World {
  #processes = new Processes();
  #database;
  #env;
  #headers;

  /** Fixtures, the database, a token. */
  static async start() {
    const world = new World();
    try {
      await world.#prepare();
    } catch (error) {
      await world.end();
      throw error;
    }
    return world;
  }

  /** With the token that every call carries. */
  get headers() {
    return this.#headers;
  }

  /** Of everything that was started, to tell our load on the machine from that of others. */
  pids = [];

  proxy() {
    return this.#start([path.join(HERE, 'node-proxy.mjs'), '--upstream', this.fixture.url], {}, READY);
  }

  /** @param env settings besides those that all gateways have; @param node options of Node */
  gateway(env = {}, node = []) {
    return this.#start([...node, '--enable-source-maps', MAIN], { ...this.#env, ...env }, LISTENS);
  }

  /** Once: the gateways share the database. */
  async register(gateway) {
    for (const [name, fixture] of [
      [FREE, this.fixture],
      [SLOW_START, this.slowFixture],
    ]) {
      const { statusCode, body } = await request(`${gateway.url}/gateways`, {
        method: 'POST',
        headers: { ...this.headers, 'content-type': 'application/json' },
        body: JSON.stringify({ name, url: `${fixture.url}/mcp` }),
      });
      const text = await body.text();
      if (statusCode !== 201) throw new Error(`registering ${name}: HTTP ${statusCode} ${text}`);
    }
  }

  async end() {
    await this.#processes.endAll();
    await this.#database?.drop();
  }

  async #prepare() {
    const JWT_SECRET = randomBytes(32).toString('hex');
    const started = await Promise.allSettled([
      this.#fixture(),
      this.#fixture('--initialize-ms', String(SLOW_START_MS)),
      freshDatabase().then((database) => (this.#database = database)),
      tokenOf(JWT_SECRET),
    ]);
    // Settled, all of them: what was started beside a failure must be known, or nobody would end it.
    const failure = started.find(({ status }) => status === 'rejected');
    if (failure) throw failure.reason;
    const [fixture, slowFixture, database, token] = started.map(({ value }) => value);
    Object.assign(this, { fixture, slowFixture });
    this.#headers = { authorization: `Bearer ${token}` };
    this.#env = {
      NODE_ENV: 'production',
      PORT: '0',
      SHUTDOWN_DELAY_SECONDS: '0',
      AUTH_MODE: 'jwt',
      JWT_SECRET,
      DATABASE_URL: database.url,
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    };
  }

  #fixture(...args) {
    return this.#start([path.join(HERE, 'fixture.mjs'), '--port', '0', ...args], {}, READY);
  }

  async #start(args, env, ready) {
    const started = await this.#processes.start(args, env, ready);
    this.pids.push(started.pid);
    return started;
  }
}

/** As an operator makes one. */
async function tokenOf(JWT_SECRET) {
  const args = [CLI, 'token', '--sub', 'bench', '--scope', 'mcp:use gateways:write', '--expires', '1d'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { JWT_SECRET } });
  return stdout.trim();
}
