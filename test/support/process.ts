import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { built } from './built.js';
import { TEST_ENCRYPTION_KEY } from './replica.js';
import { until } from './until.js';

const START_TIMEOUT_MS = 60_000;

/** The service as a process of its own: the built code, as an operator runs it. */
export interface ServiceProcess {
  readonly url: string;
  readonly child: ChildProcess;
  /** Everything that it has printed. */
  output(): string;
  /** SIGTERM by default; resolves with the exit code, or the signal that ended it. */
  end(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param env the whole configuration; nothing but PATH and HOME is inherited */
export async function startProcess(env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
  const { child, output, exited } = await launch(env);
  const url = await until(
    () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${output.stderr}`);
      return /"url":"(http:[^"]+)"/.exec(output.stdout)?.[1];
    },
    { timeoutMs: START_TIMEOUT_MS, what: 'the service listens' },
  );
  return {
    url,
    child,
    output: () => output.stdout + output.stderr,
    end: async (signal = 'SIGTERM') => {
      child.kill(signal);
      await exited;
      return child.exitCode ?? child.signalCode ?? 'SIGKILL';
    },
  };
}

/** Starts the service and waits for its end: for starts that must fail. */
export async function runToEnd(env: Readonly<Record<string, string>>): Promise<Ended> {
  const { child, output, exited } = await launch(env);
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
  return { code: child.exitCode, ...output };
}

async function launch(env: Readonly<Record<string, string>>) {
  const main = await built();
  const inherited = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' };
  const key = env['DATABASE_URL'] === undefined ? {} : { ENCRYPTION_KEY: TEST_ENCRYPTION_KEY };
  const child = spawn(process.execPath, [main], {
    env: { ...inherited, ...key, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return { child, output, exited: once(child, 'close') };
}
