import { type CapabilityQueries, type OwnedCapability, type TemplateColumns } from './capability-queries.js';
import { UriTemplate } from './uri-template.js';

/** What a URI leads to. */
export interface FoundResource {
  /** The resource, or the template that the URI comes from. */
  readonly record: OwnedCapability;
  /** What it was asked for and is read by, where the record's own names do not say so. */
  readonly uris?: { readonly publicUri: string; readonly originalUri: string };
  /** A template was needed: another gateway's better one may come any time, and a link that was seen goes before it. */
  readonly viaTemplate: boolean;
}

interface CompiledTemplate {
  readonly id: string;
  readonly enabled: boolean;
  /** What stands before the server's own URI, such as `gw:<slug>:`; mostly nothing. */
  readonly alias: string;
  readonly pattern: UriTemplate;
}

/**
 * The templates of all gateways, the one that is to be asked first at the front (SPEC G-4). Disabled ones come last: they
 * are there so that a URI that only they stand for is refused for that reason.
 */
export class TemplateSet {
  private readonly templates: readonly CompiledTemplate[];

  /** @param rows the oldest gateway's first */
  constructor(rows: readonly TemplateColumns[]) {
    this.templates = rows
      .map(({ id, publicName, originalName, enabled }) => ({
        id,
        enabled,
        alias: publicName.slice(0, publicName.length - originalName.length),
        pattern: new UriTemplate(publicName),
      }))
      // Stable: equal ones stay in the order of age.
      .sort((a, b) => Number(b.enabled) - Number(a.enabled) || b.pattern.prefixLength - a.pattern.prefixLength);
  }

  *matching(uri: string): Iterable<{ readonly id: string; readonly originalUri: string }> {
    for (const { id, alias, pattern } of this.templates) {
      if (pattern.matches(uri)) yield { id, originalUri: uri.slice(alias.length) };
    }
  }
}

/**
 * Finds what a URI is read from (SPEC G-4): the record that has it as its public URI (an alias is one), else the best
 * template.
 */
export class ResourceFinder {
  constructor(
    private readonly queries: CapabilityQueries,
    private readonly templates: (gatewayId: string | undefined) => TemplateSet | Promise<TemplateSet>,
  ) {}

  /** @param gatewayId where given, `uri` is what this gateway itself calls it (SPEC G-10) */
  async find(uri: string, gatewayId?: string): Promise<FoundResource | undefined> {
    const record =
      gatewayId === undefined
        ? await this.queries.findPublic('resource', uri)
        : await this.queries.findOriginal('resource', gatewayId, uri);
    // Also when it is disabled: a template must not be the way around the administrator.
    if (record) {
      return {
        record,
        viaTemplate: false,
        ...(gatewayId === undefined ? {} : { uris: { publicUri: uri, originalUri: uri } }),
      };
    }
    for (const { id, originalUri } of (await this.templates(gatewayId)).matching(uri)) {
      const template = await this.queries.findById('resource_template', id);
      if (!template) continue; // gone since the set was read
      const own = await this.queries.findOriginal('resource', template.gatewayId, originalUri);
      return {
        record: template.enabled && own ? own : template,
        viaTemplate: true,
        uris: { publicUri: uri, originalUri },
      };
    }
    return undefined;
  }
}
