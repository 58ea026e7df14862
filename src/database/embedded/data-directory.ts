import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from '../../common/startup-error.js';
import { oneLine } from '../one-line.js';

const CLUSTER = 'pg';
/** Stands while a new cluster is being made: after a crash in between, the half-made one holds nobody's data. */
const MARKER = 'pg.initialising';

/**
 * Makes `DATA_DIR` if need be (0700: it holds the encryption key).
 *
 * @throws StartupError when it cannot be made or is no directory
 */
export async function makeDataDirectory(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable(dataDir, error);
  }
}

/**
 * Looks at the cluster before PGlite does, which would initialise right over a foreign directory.
 *
 * @returns the cluster's directory, and what to call once the database runs
 * @throws StartupError when there is something, and it is not a cluster
 */
export async function prepareCluster(dataDir: string): Promise<{ clusterDir: string; started: () => Promise<void> }> {
  const clusterDir = join(dataDir, CLUSTER);
  const marker = join(dataDir, MARKER);
  try {
    if (await exists(marker)) await rm(clusterDir, { recursive: true, force: true });
    const files = await filesOf(clusterDir);
    if (files.length === 0) await writeFile(marker, '');
    else if (!files.includes('PG_VERSION') || !(await exists(join(clusterDir, 'global', 'pg_control')))) {
      throw corrupt(clusterDir, 'it is not empty and not a PostgreSQL cluster');
    } else if ((await readFile(join(clusterDir, 'PG_VERSION'), 'utf8')).trim() === '') {
      throw corrupt(clusterDir, 'its PG_VERSION is empty');
    }
  } catch (error) {
    throw error instanceof StartupError ? error : unusable(dataDir, error);
  }
  return { clusterDir, started: () => rm(marker, { force: true }) };
}

/** One line about a cluster that the engine does not take, with its complaint. */
export function corrupt(clusterDir: string, reason: string, cause?: unknown): StartupError {
  return new StartupError(
    `the embedded database in ${clusterDir} cannot be opened: ${oneLine(reason)}; ` +
      `restore it from a backup, or choose another DATA_DIR`,
    { cause },
  );
}

/** One line about a directory that the system does not let us use. */
export function unusable(dataDir: string, error: unknown): StartupError {
  const { code } = error as NodeJS.ErrnoException;
  return new StartupError(`DATA_DIR ${dataDir} cannot be used: ${REASONS[code ?? ''] ?? oneLine(error)}`, {
    cause: error,
  });
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there (EACCES)',
  EPERM: 'this user may not write there (EPERM)',
  EROFS: 'the file system is read-only (EROFS)',
  ENOTDIR: 'a part of the path is a file (ENOTDIR)',
  EEXIST: 'it is a file, not a directory (EEXIST)',
  ENOSPC: 'no space is left on the device (ENOSPC)',
};

async function filesOf(dir: string): Promise<string[]> {
  return readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
