import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deferred } from '../../../test/support/deferred.js';
import { until } from '../../../test/support/until.js';
import { DirectoryLock } from './directory-lock.js';
import { describeSelf } from './lock-holder.js';

let dir: string;
let file: string;
const held: DirectoryLock[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lock-'));
  file = join(dir, 'database.lock');
});
afterEach(async () => {
  await Promise.all(held.splice(0).map((lock) => lock.release()));
  await rm(dir, { recursive: true });
});

async function acquire(options: Partial<Parameters<typeof DirectoryLock.acquire>[1]> = {}): Promise<DirectoryLock> {
  const lock = await DirectoryLock.acquire(dir, { onLost: () => undefined, ...options });
  held.push(lock);
  return lock;
}

/** The lock of another process on this host. */
async function writeHolder(changes: object, ageMs = 0): Promise<string> {
  const content = JSON.stringify({ ...(await describeSelf('other')), ...changes });
  await writeFile(file, content);
  const at = new Date(Date.now() - ageMs);
  await utimes(file, at, at);
  return content;
}

async function deadPid(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('DirectoryLock', () => {
  it('lets one in and refuses the second in one line', async () => {
    await acquire();
    await expect(acquire()).rejects.toMatchObject({
      name: 'StartupError',
      message: expect.stringMatching(/^DATA_DIR \S+ is in use by process \d+ on host [^\n]+DATABASE_URL$/),
    });
  });

  it('is free again after release, and leaves no file', async () => {
    await (await acquire()).release();
    expect(await readdir(dir)).toEqual([]);
    await acquire();
  });

  it('refuses while another living process of this host holds it', async () => {
    const child = spawn('sleep', ['60']);
    await writeHolder({ pid: child.pid, started: undefined }, 3_600_000);
    await expect(acquire()).rejects.toThrow(`is in use by process ${child.pid}`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await acquire();
  });

  it('takes over at once from a dead process of this host', async () => {
    await writeHolder({ pid: await deadPid() });
    const began = performance.now();
    await acquire();
    expect(performance.now() - began).toBeLessThan(1000);
    expect(await readdir(dir)).toEqual(['database.lock']);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ pid: process.pid });
  });

  it('takes over when the pid was given out again (container: always 1)', async () => {
    await writeHolder({ started: 'another-boot:1' });
    await acquire();
  });

  it.each(['another host', 'another container of the same name'])('waits out a silent holder on %s', async (where) => {
    await writeHolder(where === 'another host' ? { host: 'gone' } : { pidNamespace: 'pid:[1]' });
    const waits: string[] = [];
    await acquire({ staleAfterMs: 600, onWait: (line) => waits.push(line) });
    expect(waits).toEqual([expect.stringContaining('for a sign of life')]);
  });

  it('does not wait when the unseen holder has been silent for long', async () => {
    await writeHolder({ host: 'gone' }, 31_000);
    const waits: string[] = [];
    await acquire({ onWait: (line) => waits.push(line) });
    expect(waits).toEqual([]);
  });

  it('refuses when a holder on another host shows a sign of life', async () => {
    const content = await writeHolder({ host: 'elsewhere' });
    const refused = acquire({ onWait: () => void writeFile(file, content), staleAfterMs: 30_000 });
    await expect(refused).rejects.toThrow('host elsewhere');
  });

  it('takes over a file that says nothing, when it is old', async () => {
    await writeFile(file, '');
    const long = new Date(Date.now() - 60_000);
    await utimes(file, long, long);
    await acquire();
  });

  it('lets exactly one of 20 starters take over a stale lock', async () => {
    await writeHolder({ pid: await deadPid() });
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => acquire()));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await readdir(dir)).toEqual(['database.lock']);
  });

  it('gets over a starter that died while it took over', async () => {
    const stale = await writeHolder({ pid: await deadPid() });
    const claim = `${file}.${createHash('sha256').update(stale).digest('hex').slice(0, 16)}`;
    await writeFile(claim, JSON.stringify({ ...(await describeSelf('claimer')), pid: await deadPid() }));
    await acquire();
    expect(await readdir(dir)).toEqual(['database.lock']);
  });

  it('shows that it lives, without a change of the content', async () => {
    await acquire({ touchEveryMs: 20 });
    const [{ mtimeMs }, content] = [await stat(file), await readFile(file, 'utf8')];
    await until(async () => (await stat(file)).mtimeMs > mtimeMs, { what: 'touch' });
    expect(await readFile(file, 'utf8')).toBe(content);
  });

  it('says when it was taken away, and leaves the new holder alone', async () => {
    const lost = deferred<Error>();
    const lock = await acquire({ touchEveryMs: 20, onLost: (reason) => lost.resolve(reason) });
    const other = await writeHolder({ host: 'elsewhere' });
    expect((await lost.promise).message).toContain('taken away');
    await lock.release();
    expect(await readFile(file, 'utf8')).toBe(other);
  });

  it.each([
    ['/proc/no-such-place', /cannot be used/],
    [fileURLToPath(import.meta.url), /a part of the path is a file/],
  ])('refuses %s in one line', async (place, message) => {
    const refused = DirectoryLock.acquire(place, { onLost: () => undefined });
    await expect(refused).rejects.toMatchObject({ name: 'StartupError', message: expect.stringMatching(message) });
  });
});
