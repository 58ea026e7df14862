// The processes of a measurement: started, ready, and ended whatever happens.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const HERE = path.dirname(fileURLToPath(import.meta.url));
export const ROOT = path.join(HERE, '..');
/** The service as it is built; `npm run build` makes it. */
export const MAIN = path.join(ROOT, 'dist', 'src', 'main.js');
export const CLI = path.join(ROOT, 'dist', 'src', 'cli', 'main.js');
/** What a gateway logs when it listens. */
export const LISTENS = /"url":"(http:[^"]+)"/;
/** What the fixture and the bare proxy print. */
export const READY = /ready on (http:\/\/[^/\s]+)/;
/** Only the beginning of an output is kept: it is for the start and its failures. */
const KEPT_OUTPUT = 1e6;
const STOP_MS = 20_000;

/** Nothing of the environment goes to a child but this and what it is given. */
const { PATH = '', HOME = '' } = process.env;

export class Processes {
  #children = [];

  /**
   * Starts a Node process and waits until it prints that it is ready.
   *
   * @param args of `node`: options, file, arguments
   * @param ready its first group is the URL
   * @returns its URL, its process id, and `end()`
   */
  async start(args, env, ready) {
    const child = spawn(process.execPath, args, { env: { PATH, HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.push(child);
    const url = await readyOf(child, ready);
    return { child, url, pid: child.pid, end: () => end(child) };
  }

  async endAll() {
    await Promise.all(this.#children.map(end));
  }
}

function readyOf(child, ready) {
  let output = '';
  return new Promise((resolve, reject) => {
    const read = (chunk) => {
      if (output.length > KEPT_OUTPUT) return;
      output += chunk;
      const found = ready.exec(output);
      if (found) resolve(found[1]);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) =>
      reject(new Error(`${child.spawnargs.at(-1)} ended with ${code}: ${output.slice(-2000)}`)),
    );
  });
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(force);
}
