import { randomUUID } from 'node:crypto';
import { type EntityManager, In } from 'typeorm';
import { CAPABILITY_KINDS, type CapabilityKind } from './capability-kind.js';
import { type CapabilityEntry, type CapabilityReading } from './capability-reading.js';
import { CapabilityRecord } from './entities/capability.entity.js';
import { publicNameFor, publicUriFor, type Taken } from './naming.js';

/** What a reading changed for one kind (SPEC G-5). */
export interface KindChange {
  readonly added: number;
  readonly updated: number;
  readonly removed: number;
  /** Records that clients see (enabled ones) were among them: the list looks different now. */
  readonly visible: boolean;
}

export type CapabilityChanges = Readonly<Record<CapabilityKind, KindChange>>;

interface Owner {
  readonly id: string;
  readonly slug: string;
}

type Known = Pick<CapabilityRecord, 'id' | 'originalName' | 'definition' | 'ordinal' | 'enabled'>;
type NewRecord = Omit<CapabilityRecord, 'gateway' | 'createdAt' | 'updatedAt'>;

const NO_CHANGE: KindChange = { added: 0, updated: 0, removed: 0, visible: false };
const MAX_ROWS = 500;
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * Brings the capability records of a gateway in line with what was read (SPEC G-5): a list that failed is left alone;
 * names handed out and what an administrator set survive.
 */
export class CapabilityStore {
  constructor(private readonly separator: string) {}

  /** In the caller's transaction, which must hold `lockNames`. */
  async apply(
    manager: EntityManager,
    owner: Owner,
    reading: CapabilityReading,
    createdVia: string,
  ): Promise<CapabilityChanges> {
    const changes: Partial<Record<CapabilityKind, KindChange>> = {};
    for (const kind of CAPABILITY_KINDS) {
      const list = reading.lists[kind];
      if (list.status === 'failed' || list.status === 'skipped') changes[kind] = NO_CHANGE;
      else
        changes[kind] = await this.replace(
          manager,
          owner,
          kind,
          list.status === 'read' ? list.entries : [],
          createdVia,
        );
    }
    return changes as CapabilityChanges;
  }

  private async replace(
    manager: EntityManager,
    owner: Owner,
    kind: CapabilityKind,
    entries: readonly CapabilityEntry[],
    createdVia: string,
  ): Promise<KindChange> {
    const known = await manager.find(CapabilityRecord, {
      where: { gatewayId: owner.id, kind },
      select: { id: true, originalName: true, definition: true, ordinal: true, enabled: true },
    });
    const sent = new Set(entries.map((entry) => entry.originalName));
    const removed = known.filter((record) => !sent.has(record.originalName));
    const ids = removed.map((record) => record.id);
    for (const part of inChunks(ids, () => 0)) await manager.delete(CapabilityRecord, { id: In(part) });
    const updated = await this.update(manager, known, entries);
    const added = await this.add(manager, owner, kind, known, entries, createdVia);
    const visible = added > 0 || [...removed, ...updated].some((record) => record.enabled);
    return { added, updated: updated.length, removed: removed.length, visible };
  }

  private async update(
    manager: EntityManager,
    known: readonly Known[],
    entries: readonly CapabilityEntry[],
  ): Promise<Known[]> {
    const byName = new Map(known.map((record) => [record.originalName, record]));
    const updated: Known[] = [];
    const rows: Pick<Known, 'id' | 'definition' | 'ordinal'>[] = [];
    entries.forEach(({ originalName, definition }, ordinal) => {
      const record = byName.get(originalName);
      if (!record || (record.definition === definition && record.ordinal === ordinal)) return;
      if (record.definition !== definition) updated.push(record);
      rows.push({ id: record.id, definition, ordinal });
    });
    for (const part of inChunks(rows, (row) => row.definition.length)) {
      await manager.query(
        `UPDATE "capabilities" AS c SET "definition" = v.definition, "ordinal" = v.ordinal, "updated_at" = now()
         FROM unnest($1::uuid[], $2::text[], $3::integer[]) AS v(id, definition, ordinal) WHERE c."id" = v.id`,
        [part.map((row) => row.id), part.map((row) => row.definition), part.map((row) => row.ordinal)],
      );
    }
    return updated;
  }

  private async add(
    manager: EntityManager,
    owner: Owner,
    kind: CapabilityKind,
    known: readonly Known[],
    entries: readonly CapabilityEntry[],
    createdVia: string,
  ): Promise<number> {
    const old = new Set(known.map((record) => record.originalName));
    const fresh = entries.map((entry, ordinal) => ({ ...entry, ordinal })).filter((e) => !old.has(e.originalName));
    const names = await this.handOut(manager, owner, kind, fresh);
    const rows = fresh.map((entry, i): NewRecord => {
      const { originalName, definition, ordinal } = entry;
      const state = { enabled: true, descriptionOverride: null, createdVia };
      const publicName = names[i] ?? originalName;
      return { id: randomUUID(), gatewayId: owner.id, kind, originalName, publicName, definition, ordinal, ...state };
    });
    for (const part of inChunks(rows, (row) => row.definition.length)) await manager.insert(CapabilityRecord, part);
    return rows.length;
  }

  /** Names for new entries (SPEC G-4): tried out, compared with what is taken, and tried again until none is. */
  private async handOut(
    manager: EntityManager,
    owner: Owner,
    kind: CapabilityKind,
    entries: readonly CapabilityEntry[],
  ): Promise<string[]> {
    const taken = new Set<string>();
    for (;;) {
      const names = this.tryNames(owner, kind, entries, taken);
      const clashes = await clashesOf(manager, kind, names);
      if (clashes.length === 0) return names;
      for (const name of clashes) taken.add(name);
    }
  }

  private tryNames(
    owner: Owner,
    kind: CapabilityKind,
    entries: readonly CapabilityEntry[],
    taken: ReadonlySet<string>,
  ): string[] {
    const mine = new Set<string>();
    const isTaken: Taken = (name) => taken.has(name) || mine.has(name);
    for (const { originalName } of entries) {
      const named = kind === 'tool' || kind === 'prompt';
      mine.add(
        named
          ? publicNameFor(owner, this.separator, originalName, isTaken)
          : publicUriFor(owner, originalName, isTaken),
      );
    }
    return [...mine];
  }
}

async function clashesOf(manager: EntityManager, kind: CapabilityKind, names: readonly string[]): Promise<string[]> {
  const clashes: string[] = [];
  for (const part of inChunks(names, (name) => name.length)) {
    const rows = await manager.query<{ public_name: string }[]>(
      'SELECT "public_name" FROM "capabilities" WHERE "kind" = $1 AND "public_name" = ANY($2::text[])',
      [kind, part],
    );
    clashes.push(...rows.map((row) => row.public_name));
  }
  return clashes;
}

/** Parts that one statement can carry. */
function inChunks<T>(rows: readonly T[], sizeOf: (row: T) => number): T[][] {
  const chunks: T[][] = [];
  let bytes = Infinity;
  for (const row of rows) {
    const last = chunks[chunks.length - 1];
    if (!last || last.length >= MAX_ROWS || bytes + sizeOf(row) > MAX_BYTES) {
      chunks.push([row]);
      bytes = sizeOf(row);
    } else {
      last.push(row);
      bytes += sizeOf(row);
    }
  }
  return chunks;
}
