/**
 * One server process behind a keeper (keeper.mjs).
 *
 * The files of this folder are JavaScript with checked types: Jest loads its global set-up as CommonJS and does not map
 * `./x.js` to `./x.ts` there, and scripts outside of Jest use them too.
 *
 * @typedef {{ file: string, args: readonly string[] }} Command `{dir}` in an argument is the server's own directory
 * @typedef {object} ServerSpec
 * @property {string} name for the directory and for messages
 * @property {string} temporary where the directory is made
 * @property {Command} [prepare] run once, before the first start
 * @property {Command} run the server itself, in the foreground
 * @property {{ uid: number, gid: number }} [user] whom it runs as
 * @property {NodeJS.Signals} stopSignal
 * @typedef {{ id?: number, error?: string, exited?: string }} Message of the keeper
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const KEEPER = fileURLToPath(new URL('./keeper.mjs', import.meta.url));

/**
 * `start` again after `kill`; `stop` ends it for good and removes its directory. A process that has only idle kept servers
 * may end: they do not keep it alive.
 */
export class KeptServer {
  /** @param {ServerSpec} spec @param {import('node:child_process').ChildProcess} keeper */
  constructor(spec, keeper) {
    this.spec = spec;
    this.keeper = keeper;
    /** Output of a server that has ended; undefined while it runs. @type {string | undefined} */
    this.lastWords = undefined;
    /** @type {Promise<void> | undefined} */
    this.stopping = undefined;
    this.nextId = 1;
    /** @type {Map<number, { resolve: () => void, reject: (error: Error) => void }>} */
    this.pending = new Map();
    /** @type {Promise<void>} */
    this.gone = new Promise((resolve) => keeper.once('exit', () => resolve()));
  }

  /** Forks the keeper; the server itself is started by `start`. @param {ServerSpec} spec */
  static open(spec) {
    // `detached`: a Ctrl-C in the terminal must reach us and not the keeper, which has to outlive us.
    const keeper = fork(KEEPER, [JSON.stringify(spec)], {
      execArgv: [],
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const server = new KeptServer(spec, keeper);
    keeper.on('message', (message) => server.hear(/** @type {Message} */ (message)));
    void server.gone.then(() => server.failPending());
    server.letIdle();
    return server;
  }

  async start() {
    this.lastWords = undefined;
    await this.command('start');
  }

  /** SIGKILL, and waits for the end. */
  async kill() {
    await this.command('kill');
  }

  /** Remembered. @returns {Promise<void>} */
  stop() {
    this.stopping ??= this.command('stop').catch(() => undefined); // the keeper ends instead of answering
    return this.stopping.then(() => this.gone);
  }

  /** @param {'start' | 'kill' | 'stop'} command @returns {Promise<void>} */
  async command(command) {
    if (!this.keeper.connected) throw new Error(`the keeper of ${this.spec.name} has gone`);
    const id = this.nextId++;
    // A pending command is work: it must keep this process alive.
    this.keeper.ref();
    this.keeper.channel?.ref();
    try {
      await new Promise((resolve, reject) => {
        this.pending.set(id, { resolve: () => resolve(undefined), reject });
        this.keeper.send({ id, command });
      });
    } finally {
      this.pending.delete(id);
      if (this.pending.size === 0) this.letIdle();
    }
  }

  letIdle() {
    this.keeper.unref();
    this.keeper.channel?.unref();
  }

  /** @param {Message} message */
  hear({ id, error, exited }) {
    if (exited !== undefined) this.lastWords = exited;
    const waiter = id === undefined ? undefined : this.pending.get(id);
    if (error === undefined) waiter?.resolve();
    else waiter?.reject(new Error(error));
  }

  failPending() {
    for (const { reject } of this.pending.values()) reject(new Error(`the keeper of ${this.spec.name} has gone`));
  }
}
