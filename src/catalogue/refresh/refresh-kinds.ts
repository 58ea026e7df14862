import { type CapabilityKind } from '../capability-kind.js';

/** What a refresh can be asked for: the words of the protocol's notifications (SPEC N-2). */
export const REFRESH_KINDS = ['tools', 'resources', 'prompts'] as const;
export type RefreshKind = (typeof REFRESH_KINDS)[number];

const RECORDS: Readonly<Record<RefreshKind, readonly CapabilityKind[]>> = {
  tools: ['tool'],
  resources: ['resource', 'resource_template'],
  prompts: ['prompt'],
};

export function recordKinds(kinds: Iterable<RefreshKind>): Set<CapabilityKind> {
  return new Set([...kinds].flatMap((kind) => RECORDS[kind]));
}

/**
 * Lists whose changes a server announces, out of its capabilities (`{ "tools": { "listChanged": true } }`, MCP).
 *
 * @param capabilities JSON text, as it is stored
 */
export function announcedKinds(capabilities: string): ReadonlySet<RefreshKind> {
  const declared = JSON.parse(capabilities) as Partial<Record<RefreshKind, { listChanged?: unknown } | null>> | null;
  return new Set(REFRESH_KINDS.filter((kind) => declared?.[kind]?.listChanged === true));
}
