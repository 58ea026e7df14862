/** The four kinds of capability record (SPEC §1), in the spelling of the table. */
export const CAPABILITY_KINDS = ['tool', 'resource', 'resource_template', 'prompt'] as const;

export type CapabilityKind = (typeof CAPABILITY_KINDS)[number];

export interface KindProtocol {
  /** The request that lists them. */
  readonly method: string;
  /** The member of the result that holds the list. */
  readonly member: string;
  /** The member of an entry that names it. */
  readonly key: string;
  /** The capability that a server declares when it offers them. */
  readonly capability: string;
  /** Longest name accepted: what an index of Postgres can hold, and far beyond what the protocol recommends (128). */
  readonly maxNameBytes: number;
}

/** How the protocol speaks of each kind. */
export const KIND_PROTOCOL: Readonly<Record<CapabilityKind, KindProtocol>> = {
  tool: { method: 'tools/list', member: 'tools', key: 'name', capability: 'tools', maxNameBytes: 512 },
  resource: { method: 'resources/list', member: 'resources', key: 'uri', capability: 'resources', maxNameBytes: 2048 },
  resource_template: {
    method: 'resources/templates/list',
    member: 'resourceTemplates',
    key: 'uriTemplate',
    capability: 'resources',
    maxNameBytes: 2048,
  },
  prompt: { method: 'prompts/list', member: 'prompts', key: 'name', capability: 'prompts', maxNameBytes: 512 },
};
