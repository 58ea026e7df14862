import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './until.js';

const ROOT = process.cwd();
const MARK = join(ROOT, 'dist', '.built');
const LOCK = join(ROOT, 'node_modules', '.cache-build-lock');
const BUILD_TIMEOUT_MS = 120_000;
const run = promisify(execFile);

/**
 * Makes sure that `dist` is the build of the sources as they are now, for tests that start real processes. Test files
 * run side by side, so one builds and the others wait.
 *
 * @returns the path of the service's main file
 */
export async function built(): Promise<string> {
  const main = join(ROOT, 'dist', 'src', 'main.js');
  if (await isFresh()) return main;
  await until(() => lock(), { timeoutMs: BUILD_TIMEOUT_MS, what: `another test file's build (${LOCK})` });
  try {
    if (!(await isFresh())) await build();
  } finally {
    await rm(LOCK, { recursive: true, force: true });
  }
  return main;
}

async function build(): Promise<void> {
  const started = new Date();
  await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { cwd: ROOT });
  await writeFile(MARK, started.toISOString());
}

async function lock(): Promise<boolean> {
  const held = await stat(LOCK).catch(() => undefined);
  // A run that was killed leaves its lock behind.
  if (held && Date.now() - held.mtimeMs > BUILD_TIMEOUT_MS) await rm(LOCK, { recursive: true, force: true });
  return mkdir(LOCK).then(
    () => true,
    () => false,
  );
}

async function isFresh(): Promise<boolean> {
  const mark = await stat(MARK).catch(() => undefined);
  return (
    mark !== undefined &&
    mark.mtimeMs > (await newest()) &&
    (await stat(join(ROOT, 'dist/src/main.js')).then(
      () => true,
      () => false,
    ))
  );
}

async function newest(): Promise<number> {
  const times = await Promise.all(
    ['src', 'migrations'].map(async (folder) => {
      const names = await readdir(join(ROOT, folder), { recursive: true });
      const files = names.filter((name) => /\.(ts|mjs)$/.test(name) && !name.endsWith('.spec.ts'));
      return Promise.all(files.map(async (name) => (await stat(join(ROOT, folder, name))).mtimeMs));
    }),
  );
  return Math.max(...times.flat());
}
