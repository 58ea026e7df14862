/**
 * A process that holds one server (PostgreSQL, Redis) for the process that forked it. When that one has gone, by its end,
 * Ctrl-C or kill -9 alike, the channel between them closes; the keeper then stops the server, removes its directory and
 * ends. So nothing is left behind, and Jest needs no signal handlers.
 *
 * Argument: the `ServerSpec` (kept-server.mjs) as JSON. Commands `{ id, command }` are answered `{ id, error? }` in order;
 * `{ exited }` tells that the server has ended, with the last words of its output.
 */
import { spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const STOP_DEADLINE_MS = 5_000;
const TAIL_CHARACTERS = 4_000;

/** @type {import('./kept-server.mjs').ServerSpec} */
const spec = JSON.parse(process.argv[2] ?? '{}');
let directory = '';

/** @type {{ child: import('node:child_process').ChildProcess, ended: Promise<void>, output: () => string } | undefined} */
let server;
let leaving = false;

/** @param {import('./kept-server.mjs').Command} command */
function launch(command) {
  const args = command.args.map((arg) => arg.replaceAll('{dir}', directory));
  const child = spawn(command.file, args, {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    ...spec.user,
  });
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => (tail = (tail + String(chunk)).slice(-TAIL_CHARACTERS)));
  }
  /** @type {Promise<void>} */
  const ended = new Promise((resolve) => {
    child.once('close', () => resolve());
    child.once('error', (error) => {
      tail += error.message;
      resolve();
    });
  });
  return { child, ended, output: () => tail };
}

async function prepare() {
  if (directory) return;
  directory = mkdtempSync(join(spec.temporary, `${spec.name}-`));
  if (spec.user) chownSync(directory, spec.user.uid, spec.user.gid);
  if (!spec.prepare) return;
  const step = launch(spec.prepare);
  server = step; // so that closing the channel now stops this step
  await step.ended;
  server = undefined;
  if (step.child.exitCode !== 0) throw new Error(`${spec.prepare.file} failed: ${step.output().trim()}`);
}

async function start() {
  if (server) throw new Error(`${spec.name} runs already`);
  await prepare();
  if (leaving) throw new Error(`${spec.name} is being stopped`);
  const started = launch(spec.run);
  server = started;
  void started.ended.then(() => {
    if (server === started) server = undefined;
    tell({ exited: started.output() });
  });
}

/** @param {NodeJS.Signals} signal */
async function end(signal) {
  if (!server) return;
  const { child, ended } = server;
  const lastResort = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
  child.kill(signal);
  await ended;
  clearTimeout(lastResort);
}

async function leave() {
  if (leaving) return;
  leaving = true;
  await end(spec.stopSignal);
  if (directory) rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  process.exit(0);
}

/** @param {object} message */
function tell(message) {
  // The parent may go at any moment; 'disconnect' then does the rest.
  if (process.connected) process.send?.(message, () => undefined);
}

const commands = { start, kill: () => end('SIGKILL'), stop: leave };

/** @param {{ id: number, command: keyof typeof commands }} message */
function obey({ id, command }) {
  commands[command]().then(
    () => tell({ id }),
    (error) => tell({ id, error: error instanceof Error ? error.message : String(error) }),
  );
}

process.on('message', (message) => obey(/** @type {Parameters<typeof obey>[0]} */ (message)));
process.on('disconnect', () => void leave());
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void leave());
