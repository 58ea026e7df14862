import { createHash, randomUUID } from 'node:crypto';
import { open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { type LockHolder, lifeOf, parseHolder } from './lock-holder.js';

const POLL_MS = 250;

export interface TakeOptions {
  /** A holder that cannot be seen from here is taken for dead when its file has not been touched for so long. */
  readonly staleAfterMs: number;
  /** Told before a wait that may take up to `staleAfterMs`. */
  readonly onWait?: (line: string) => void;
}

/** Somebody else holds the lock, and lives. */
export class LockedError extends Error {
  override readonly name = 'LockedError';

  constructor(
    readonly path: string,
    readonly holder: LockHolder | undefined,
  ) {
    super(`${path} is held by ${holder ? `process ${holder.pid} on host ${holder.host}` : 'somebody else'}`);
  }
}

interface Seen {
  readonly content: string;
  readonly mtimeMs: number;
  readonly inode: number;
}

/**
 * Creates the lock file with `mine` in it, or takes over one whose holder is dead.
 *
 * Two starters may find the same dead holder. Whoever replaces its file must first hold a lock *of its own*, named
 * after exactly that content, and look again: so the slower one can never replace the fresh lock of the faster one. A
 * starter that crashes while it holds that second lock leaves a stale lock like any other.
 *
 * @throws LockedError when the holder lives; file system errors as they come
 */
export async function takeLockFile(path: string, mine: string, options: TakeOptions): Promise<void> {
  for (;;) {
    if (await createExclusively(path, mine)) return;
    const seen = await look(path);
    if (seen && (await isStale(path, seen, options)) && (await replace(path, seen, mine, options))) return;
  }
}

/** Removes the lock file if it still is ours. */
export async function dropLockFile(path: string, mine: string): Promise<void> {
  if ((await look(path))?.content === mine) await rm(path, { force: true });
}

/**
 * Shows that the holder lives: the same bytes are written again, so that the time comes from the file system's clock
 * and not from ours.
 *
 * @returns false when the file is gone or another's
 */
export async function touchLockFile(path: string, mine: string): Promise<boolean> {
  const file = await open(path, 'r+').catch(ignoreMissing);
  if (!file) return false;
  try {
    if ((await file.readFile('utf8')) !== mine) return false;
    await file.write(mine, 0);
    return true;
  } finally {
    await file.close();
  }
}

async function createExclusively(path: string, content: string): Promise<boolean> {
  try {
    await writeFile(path, content, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** @returns false when the file has changed meanwhile and the caller has to look again */
async function isStale(path: string, seen: Seen, options: TakeOptions): Promise<boolean> {
  const holder = parseHolder(seen.content);
  switch (await lifeOf(holder)) {
    case 'alive':
      throw new LockedError(path, holder);
    case 'dead':
      return true;
    case 'unknown':
      return watch(path, seen, holder, options);
  }
}

/** Waits until the file is old enough, or shows a sign of life. */
async function watch(path: string, seen: Seen, holder: LockHolder | undefined, options: TakeOptions): Promise<boolean> {
  const age = (await fileSystemNow(path)) - seen.mtimeMs;
  const until = performance.now() + options.staleAfterMs - age;
  const seconds = Math.ceil((options.staleAfterMs - age) / 1000);
  if (seconds > 0)
    options.onWait?.(`${new LockedError(path, holder).message}; waiting ${seconds} s for a sign of life`);
  while (performance.now() < until) {
    await pause(Math.min(POLL_MS, until - performance.now()));
    const now = await look(path);
    if (now?.content !== seen.content) return false;
    if (now.mtimeMs !== seen.mtimeMs) throw new LockedError(path, holder);
  }
  return true;
}

/** @returns false when the file is not what was judged any more */
async function replace(path: string, stale: Seen, mine: string, options: TakeOptions): Promise<boolean> {
  const claim = `${path}.${createHash('sha256').update(stale.content).digest('hex').slice(0, 16)}`;
  await takeLockFile(claim, mine, options);
  try {
    const now = await look(path);
    if (now?.content !== stale.content || now.inode !== stale.inode || now.mtimeMs !== stale.mtimeMs) return false;
    const fresh = `${path}.${randomUUID()}`;
    await writeFile(fresh, mine, { flag: 'wx', mode: 0o600 });
    await rename(fresh, path);
    return true;
  } finally {
    await dropLockFile(claim, mine);
  }
}

async function look(path: string): Promise<Seen | undefined> {
  const file = await open(path, 'r').catch(ignoreMissing);
  if (!file) return undefined;
  try {
    const { mtimeMs, ino } = await file.stat();
    return { content: await file.readFile('utf8'), mtimeMs, inode: ino };
  } finally {
    await file.close();
  }
}

/** The clock that the time stamps of files come from; on a network file system it is not ours. */
async function fileSystemNow(path: string): Promise<number> {
  const probe = `${path}.${randomUUID()}`;
  await writeFile(probe, '', { flag: 'wx' });
  try {
    return (await stat(probe)).mtimeMs;
  } finally {
    await rm(probe, { force: true });
  }
}

function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  throw error;
}
