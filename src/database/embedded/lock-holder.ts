import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { z } from 'zod';

const LockHolderSchema = z.object({
  pid: z.number().int().positive(),
  host: z.string(),
  /** Boot and clock tick in which the process started, where /proc tells: a pid alone may have been given out again. */
  started: z.string().optional(),
  /** In containers the pid is always 1 and the host name may be shared: pids compare only within one namespace. */
  pidNamespace: z.string().optional(),
  token: z.string(),
});

/** Who holds a lock, as its file says. */
export type LockHolder = z.infer<typeof LockHolderSchema>;

/** `unknown`: this process cannot see the holder (another host or container, an unreadable file). */
export type Life = 'alive' | 'dead' | 'unknown';

/** This process as a holder. */
export async function describeSelf(token: string): Promise<LockHolder> {
  return {
    pid: process.pid,
    host: hostname(),
    started: await startOf(process.pid),
    pidNamespace: await ownPidNamespace(),
    token,
  };
}

/** @returns `undefined` for content that is not a holder (garbage, or still being written) */
export function parseHolder(content: string): LockHolder | undefined {
  try {
    return LockHolderSchema.safeParse(JSON.parse(content)).data;
  } catch {
    return undefined;
  }
}

/** Whether the holder lives, as far as can be seen from here. */
export async function lifeOf(holder: LockHolder | undefined): Promise<Life> {
  if (holder?.host !== hostname() || holder.pidNamespace !== (await ownPidNamespace())) return 'unknown';
  if (!processExists(holder.pid)) return 'dead';
  const started = await startOf(holder.pid);
  return holder.started === undefined || started === undefined || started === holder.started ? 'alive' : 'dead';
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function startOf(pid: number): Promise<string | undefined> {
  try {
    const [boot, stat] = await Promise.all([
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ]);
    // The command's name, in brackets, may hold spaces and brackets itself; field 22 is the 20th after it.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return ticks === undefined ? undefined : `${boot.trim()}:${ticks}`;
  } catch {
    return undefined;
  }
}

async function ownPidNamespace(): Promise<string | undefined> {
  return readlink('/proc/self/ns/pid').catch(() => undefined);
}
