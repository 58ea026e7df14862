import { type CapabilityKind } from '../capability-kind.js';
import { type OwnedCapability } from '../capability-queries.js';
import {
  type GatewayEntry,
  type NamedEntry,
  namedEntry,
  type ResourceEntry,
  resourceEntry,
  toolEntry,
  type ToolEntry,
} from '../catalogue-entries.js';
import { TemplateSet } from '../resource-finder.js';
import { type ServerItem, shownName } from './server-spec.js';

/** What one virtual server shows, in memory, by the names that its clients know. */
export class ServerSelection {
  readonly tools: ReadonlyMap<string, ToolEntry>;
  readonly prompts: ReadonlyMap<string, NamedEntry>;
  readonly resources: ReadonlyMap<string, ResourceEntry>;
  /** By the template itself. */
  readonly references: ReadonlyMap<string, ResourceEntry>;
  private readonly templates: TemplateSet;
  private readonly templatesById: ReadonlyMap<string, OwnedCapability>;

  /** @param items of which nothing is disabled */
  constructor(items: readonly ServerItem[], entryOf: (capability: OwnedCapability) => GatewayEntry) {
    const byName = <E>(kind: CapabilityKind, make: (record: OwnedCapability, gateway: GatewayEntry) => E) =>
      new Map(
        items
          .filter(({ capability }) => capability.kind === kind)
          .map((item) => {
            const record = { ...item.capability, publicName: shownName(item) };
            return [record.publicName, make(record, entryOf(item.capability))];
          }),
      );
    this.tools = byName('tool', toolEntry);
    this.prompts = byName('prompt', namedEntry);
    this.resources = byName('resource', (record, gateway) => resourceEntry({ record, viaTemplate: false }, gateway));
    this.references = byName('resource_template', (record, gateway) =>
      resourceEntry({ record, viaTemplate: true }, gateway),
    );
    const templates = items.map(({ capability }) => capability).filter(({ kind }) => kind === 'resource_template');
    this.templates = new TemplateSet(templates.sort(byAge).map((record) => ({ ...record, enabled: true })));
    this.templatesById = new Map(templates.map((record) => [record.id, record]));
  }

  /** The best template that the URI may come from (SPEC G-4), and what its server calls the URI. */
  templateOf(uri: string): { readonly template: OwnedCapability; readonly originalUri: string } | undefined {
    for (const { id, originalUri } of this.templates.matching(uri)) {
      const template = this.templatesById.get(id);
      if (template) return { template, originalUri };
    }
    return undefined;
  }
}

/** The oldest gateway's first, each gateway's in its own order. */
function byAge(a: OwnedCapability, b: OwnedCapability): number {
  const age = a.gateway.createdAt.getTime() - b.gateway.createdAt.getTime();
  return age || a.gateway.id.localeCompare(b.gateway.id) || a.ordinal - b.ordinal;
}
