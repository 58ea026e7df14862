import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadOrCreateEncryptionKey } from './encryption-key.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'key-'));
});
afterEach(() => rm(dir, { recursive: true }));

describe('loadOrCreateEncryptionKey (SPEC §9, S-4)', () => {
  it('makes 32 bytes once, for this user only', async () => {
    const dataDir = join(dir, 'new', 'data');
    const key = await loadOrCreateEncryptionKey(dataDir);
    expect(Buffer.from(key, 'base64')).toHaveLength(32);
    expect(await loadOrCreateEncryptionKey(dataDir)).toBe(key);
    expect(await readdir(dataDir)).toEqual(['encryption.key']);
    expect((await stat(join(dataDir, 'encryption.key'))).mode & 0o777).toBe(0o600);
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  });

  it('gives ten that ask at once the same key', async () => {
    const keys = await Promise.all(Array.from({ length: 10 }, () => loadOrCreateEncryptionKey(dir)));
    expect(new Set(keys).size).toBe(1);
    expect(await readdir(dir)).toEqual(['encryption.key']);
  });

  it.each(['', 'c2hvcnQ=', 'no base64 at all!'])('refuses a file with %j and does not replace it', async (content) => {
    await writeFile(join(dir, 'encryption.key'), content);
    await expect(loadOrCreateEncryptionKey(dir)).rejects.toMatchObject({
      name: 'StartupError',
      message: expect.stringMatching(/^[^\n]*encryption\.key does not hold 32 bytes[^\n]*ENCRYPTION_KEY[^\n]*$/),
    });
    expect(await readFile(join(dir, 'encryption.key'), 'utf8')).toBe(content);
  });

  it('does not print the content of an unusable file', async () => {
    await writeFile(join(dir, 'encryption.key'), 'half-a-secret');
    await expect(loadOrCreateEncryptionKey(dir)).rejects.toThrow(expect.not.stringContaining('half-a-secret'));
  });

  it('refuses a directory that cannot be made', async () => {
    await writeFile(join(dir, 'file'), '');
    await expect(loadOrCreateEncryptionKey(join(dir, 'file'))).rejects.toThrow(/^DATA_DIR .* it is a file/);
    await expect(loadOrCreateEncryptionKey(join(dir, 'file', 'x'))).rejects.toThrow(/a part of the path is a file/);
  });
});
