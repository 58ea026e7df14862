import { randomUUID } from 'node:crypto';
import { type DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { CodedError } from '../../common/errors.js';
import { VirtualServerItemRecord, VirtualServerRecord } from '../entities/index.js';
import { lockNames } from '../name-lock.js';
import { slugFor } from '../naming.js';
import { resolveItems } from './resolve-items.js';
import { type ServerItemSpec, type VirtualServerSpec } from './server-spec.js';

const UNIQUE_VIOLATION = '23505';

/** Writes virtual servers, each change in one transaction (SPEC G-9). */
export class VirtualServerStore {
  constructor(private readonly database: DataSource) {}

  /** @throws CodedError INVALID_PARAMS with every problem of the items, CONFLICT when the name is taken */
  async insert({ items, ...spec }: VirtualServerSpec): Promise<string> {
    const id = randomUUID();
    await this.transaction(async (manager) => {
      const slug = await freeSlug(manager, spec.name, id);
      await manager.insert(VirtualServerRecord, { id, slug, ...spec });
      await select(manager, id, items);
    });
    return id;
  }

  /** @param change the new values; `items` is the whole new selection @throws as `insert`; NOT_FOUND */
  async update(id: string, { items, ...change }: Partial<VirtualServerSpec>): Promise<void> {
    await this.transaction(async (manager) => {
      const { affected } = await manager.update(VirtualServerRecord, { id }, { ...change, updatedAt: new Date() });
      if (!affected) throw new CodedError('NOT_FOUND', `there is no virtual server ${id}`);
      if (items === undefined) return;
      await manager.delete(VirtualServerItemRecord, { serverId: id });
      await select(manager, id, items);
    });
  }

  /** @returns whether there was one */
  async remove(id: string): Promise<boolean> {
    const { affected } = await this.database.manager.delete(VirtualServerRecord, { id });
    return (affected ?? 0) > 0;
  }

  /** Everything that gives out or uses names is done one after the other. */
  private async transaction(work: (manager: EntityManager) => Promise<void>): Promise<void> {
    try {
      await this.database.transaction(async (manager) => {
        await lockNames(manager);
        await work(manager);
      });
    } catch (error) {
      if (isTakenName(error)) throw new CodedError('CONFLICT', 'a virtual server with this name exists already');
      throw error;
    }
  }
}

async function select(manager: EntityManager, serverId: string, items: readonly ServerItemSpec[]): Promise<void> {
  if (items.length === 0) return;
  const rows = (await resolveItems(manager, items)).map((item) => ({ serverId, ...item }));
  await manager.insert(VirtualServerItemRecord, rows);
}

async function freeSlug(manager: EntityManager, name: string, id: string): Promise<string> {
  const taken = new Set<string>();
  for (;;) {
    const slug = slugFor(name, id, (candidate) => taken.has(candidate));
    if (!(await manager.existsBy(VirtualServerRecord, { slug }))) return slug;
    taken.add(slug);
  }
}

function isTakenName(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { code, constraint } = error.driverError as { code?: string; constraint?: string };
  return code === UNIQUE_VIOLATION && constraint === 'uq_virtual_servers_name';
}
