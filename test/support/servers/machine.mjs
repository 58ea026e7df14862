/** What this machine offers: programs, users, ports, Debian packages. */
import { execFile } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const DEBIAN_POSTGRES = '/usr/lib/postgresql';
const APT_DEADLINE_MS = 300_000;
const run = promisify(execFile);

export const isRoot = process.getuid?.() === 0;

/** Root hands its directories to another user, who may not be able to enter root's own TMPDIR. */
export const temporary = isRoot ? '/tmp' : tmpdir();

/** Path of a program on the PATH, or undefined. @param {string} name */
export function onPath(name) {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

/** Directory with both `postgres` and `initdb`: that of the PATH, else Debian's newest. @returns {string | undefined} */
export function postgresBin() {
  const found = onPath('postgres');
  const candidates = found ? [dirname(realpathSync(found)), dirname(found)] : [];
  return [...candidates, ...debianBins()].find((bin) =>
    ['postgres', 'initdb'].every((p) => isExecutable(join(bin, p))),
  );
}

function debianBins() {
  try {
    const versions = readdirSync(DEBIAN_POSTGRES).sort((a, b) => Number(b) - Number(a));
    return versions.map((version) => join(DEBIAN_POSTGRES, version, 'bin'));
  } catch {
    return [];
  }
}

/** PostgreSQL refuses to run as root, and initdb wants a user with a name. */
export function unprivilegedUser() {
  if (!isRoot) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const user = users.find((fields) => fields[0] === name);
    if (user) return { uid: Number(user[2]), gid: Number(user[3]) };
  }
  throw new Error('PostgreSQL cannot run as root, and there is neither a user postgres nor nobody');
}

/** A TCP port of 127.0.0.1 that was free a moment ago. @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

export function canInstall() {
  return isRoot && onPath('apt-get') !== undefined;
}

/** Installs a Debian package. @param {string} name */
export async function install(name) {
  process.stderr.write(`installing ${name} for the tests (apt-get) ...\n`);
  const options = { timeout: APT_DEADLINE_MS, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  await run('apt-get', ['update', '-q'], options);
  await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', name], options);
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
