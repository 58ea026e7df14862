import { type EntityManager } from 'typeorm';
import { CodedError } from '../../common/errors.js';
import { type CapabilityKind } from '../capability-kind.js';
import { type ServerItemSpec } from './server-spec.js';

interface Row {
  readonly id: string;
  readonly kind: CapabilityKind;
  readonly public_name: string;
}

export interface ResolvedItem {
  readonly capabilityId: string;
  /** Null where the public name is shown. */
  readonly publicName: string | null;
}

interface Problem {
  readonly path: string;
  readonly message: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const KIND_WORDS: Readonly<Record<CapabilityKind, string>> = {
  tool: 'a tool',
  resource: 'a resource',
  resource_template: 'a resource template',
  prompt: 'a prompt',
};

/**
 * The records that a selection means, in the caller's transaction; their gateways cannot be removed before it ends.
 *
 * @throws CodedError INVALID_PARAMS with every problem: what is unknown, ambiguous, there twice, or named like another
 */
export async function resolveItems(manager: EntityManager, items: readonly ServerItemSpec[]): Promise<ResolvedItem[]> {
  const rows = await candidatesOf(manager, items);
  const problems: Problem[] = [];
  const placeOf = new Map<string, number>();
  const nameOf = new Map<string, number>();
  const resolved = items.flatMap((item, index) => {
    const found = rowOf(item, rows);
    if (typeof found === 'string') return complain(`items.${index}.capability`, found);
    const shown = item.name ?? found.public_name;
    problems.push(...clashes(item, index, found, placeOf.get(found.id), nameOf.get(`${found.kind} ${shown}`)));
    placeOf.set(found.id, index);
    nameOf.set(`${found.kind} ${shown}`, index);
    return [{ capabilityId: found.id, publicName: shown === found.public_name ? null : shown }];
  });
  if (problems.length === 0) return resolved;
  const text = problems.map(({ path, message }) => `${path} ${message}`).join('; ');
  throw new CodedError('INVALID_PARAMS', `the input is not valid: ${text}`, { details: { problems } });

  function complain(path: string, message: string): [] {
    problems.push({ path, message });
    return [];
  }
}

/** In the order of the gateways' ids and their rows locked: what is chosen cannot vanish, and nobody waits in a circle. */
function candidatesOf(manager: EntityManager, items: readonly ServerItemSpec[]): Promise<Row[]> {
  const names = items.map(({ capability }) => capability);
  return manager.query<Row[]>(
    `SELECT c."id", c."kind", c."public_name" FROM "capabilities" c JOIN "gateways" g ON g."id" = c."gateway_id"
     WHERE c."id" = ANY($1::uuid[]) OR c."public_name" = ANY($2::text[])
     ORDER BY g."id", c."kind" DESC FOR KEY SHARE OF g`,
    [names.filter((name) => UUID.test(name)), names],
  );
}

/** The one record, or what is wrong. */
function rowOf({ capability, kind }: ServerItemSpec, rows: readonly Row[]): Row | string {
  const byId = rows.filter(({ id }) => id === capability.toLowerCase());
  const named = byId.length > 0 ? byId : rows.filter((row) => row.public_name === capability);
  const [first, second] = kind === undefined ? named : named.filter((row) => row.kind === kind);
  const kinds = named.map((row) => KIND_WORDS[row.kind]).join(' and ');
  if (first && second) return `is ${kinds}: say which with kind`;
  if (first) return first;
  if (kinds !== '' && kind !== undefined) return `is ${kinds}, not ${KIND_WORDS[kind]}`;
  return 'is the id or public name of nothing that a gateway offers';
}

function clashes({ name }: ServerItemSpec, index: number, row: Row, samePlace?: number, sameName?: number): Problem[] {
  if (samePlace !== undefined) {
    return [{ path: `items.${index}.capability`, message: `is there twice (items.${samePlace})` }];
  }
  const path = `items.${index}.name`;
  if (name !== undefined && row.kind !== 'tool' && row.kind !== 'prompt') {
    return [{ path, message: `is for tools and prompts: ${KIND_WORDS[row.kind]} keeps its URI` }];
  }
  if (sameName === undefined) return [];
  const message = `${JSON.stringify(name ?? row.public_name)} is the name of items.${sameName}: choose another`;
  return [{ path, message }];
}
