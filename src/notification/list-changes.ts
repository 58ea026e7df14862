import { REFRESH_KINDS, type RefreshKind } from '../catalogue/index.js';

const LIST_CHANGED: ReadonlyMap<string, RefreshKind> = new Map(
  REFRESH_KINDS.map((kind) => [`notifications/${kind}/list_changed`, kind]),
);

/** The list that a notification speaks of; undefined for every other notification (SPEC N-2). */
export function changedList(method: string): RefreshKind | undefined {
  return LIST_CHANGED.get(method);
}

/** What is read then (SPEC N-3): servers that change one list are known to forget to announce the others. */
const READ_WITH: Readonly<Record<RefreshKind, readonly RefreshKind[]>> = {
  tools: ['tools', 'resources', 'prompts'],
  resources: ['tools', 'resources'],
  prompts: ['tools', 'prompts'],
};

export function readWith(kind: RefreshKind): readonly RefreshKind[] {
  return READ_WITH[kind];
}
