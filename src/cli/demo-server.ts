import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { type AddressInfo } from 'node:net';
import { StartupError } from '../common/startup-error.js';

export interface DemoServer {
  readonly url: string;
  stop(): Promise<void>;
}

const PACKAGE = '@modelcontextprotocol/server-everything';
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 3_000;
const PAUSE_MS = 50;

/**
 * Starts the official demo server as a process of its own, on a free port.
 *
 * @throws StartupError if it is not installed or does not answer in 30 s
 */
export async function startDemoServer(signal: AbortSignal): Promise<DemoServer> {
  const port = await freePort();
  const child = spawn(process.execPath, [entryPoint(), 'streamableHttp'], {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-2_000)));
  const server = { url: `http://127.0.0.1:${port}/mcp`, stop: () => end(child) };
  try {
    await answers(server.url, child, signal);
    return server;
  } catch (error) {
    await server.stop();
    throw new StartupError(`${PACKAGE} did not start: ${String(error)} ${stderr.trim()}`);
  }
}

function entryPoint(): string {
  const require = createRequire(import.meta.url);
  try {
    return require.resolve(`${PACKAGE}/dist/index.js`);
  } catch {
    throw new StartupError(`${PACKAGE} is not installed; the quickstart needs a checkout with npm ci`);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Any HTTP answer will do: the server is there. */
async function answers(url: string, child: ChildProcess, signal: AbortSignal): Promise<void> {
  const limit = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < limit) {
    if (signal.aborted) throw new Error('interrupted');
    if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}`);
    try {
      await fetch(url, { method: 'GET', signal: AbortSignal.timeout(1_000) });
      return;
    } catch {
      await new Promise<void>((resolve) => {
        setTimeout(resolve, PAUSE_MS);
      });
    }
  }
  throw new Error(`no answer in ${START_TIMEOUT_MS / 1000} s`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(force);
}
