import { randomBytes, randomUUID } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from '../../common/startup-error.js';
import { oneLine } from '../one-line.js';
import { makeDataDirectory } from './data-directory.js';

const KEY_FILE = 'encryption.key';
const KEY_BYTES = 32;

/**
 * The key for credentials at rest where `ENCRYPTION_KEY` is not set (SPEC §9): made once in `DATA_DIR`, mode 0600.
 *
 * @returns 32 bytes in base64, the same for every call on this directory
 * @throws StartupError when the file does not hold a key, or cannot be read or made
 */
export async function loadOrCreateEncryptionKey(dataDir: string): Promise<string> {
  await makeDataDirectory(dataDir);
  const path = join(dataDir, KEY_FILE);
  try {
    const key = ((await read(path)) ?? (await create(path))).trim();
    if (isKey(key)) return key;
  } catch (error) {
    throw new StartupError(`${path} cannot be used (${oneLine(error)}); see to DATA_DIR, or set ENCRYPTION_KEY`, {
      cause: error,
    });
  }
  throw new StartupError(
    `${path} does not hold 32 bytes in base64; restore it from a backup, or set ENCRYPTION_KEY ` +
      `(without the old key the stored credentials cannot be read)`,
  );
}

function isKey(text: string): boolean {
  return /^[A-Za-z0-9+/]{43}=$/.test(text) && Buffer.from(text, 'base64').length === KEY_BYTES;
}

async function read(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

/** Written and synced beside it, then linked under its name: a key is there as a whole or not at all, and first wins. */
async function create(path: string): Promise<string> {
  const fresh = `${path}.${randomUUID()}`;
  try {
    const file = await open(fresh, 'wx', 0o600);
    try {
      await file.writeFile(`${randomBytes(KEY_BYTES).toString('base64')}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(fresh, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(fresh, { force: true });
  }
  return readFile(path, 'utf8');
}
