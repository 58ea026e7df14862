import { type CatalogueService, type ResourceEntry } from '../catalogue/index.js';
import { EMPTY_RESULT, type ExecutionContext, type Reply } from './execution-context.js';
import { ExecutionError } from './execution.errors.js';
import { expectFound } from './expect-found.js';
import { Params } from './params.js';
import { withPublicUri } from './public-contents.js';
import { type UpstreamCalls } from './upstream-calls.js';

/** `resources/read`, `/subscribe` and `/unsubscribe` (SPEC D-6, D-8). */
export class ResourceMethods {
  constructor(
    private readonly catalogue: CatalogueService,
    private readonly calls: UpstreamCalls,
  ) {}

  async read(given: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    const { uri, params, resource } = await this.resolve(given, context);
    const call = { gateway: resource.gateway, method: 'resources/read', name: uri, params, repeatable: true };
    return withPublicUri(await this.calls.run(call, context), resource);
  }

  /** Always on the session's own upstream session: that is where the updates will come (SPEC P-4). */
  async subscribe(given: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    return this.change('subscribe', given, context);
  }

  async unsubscribe(given: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    return this.change('unsubscribe', given, context);
  }

  private async change(
    what: 'subscribe' | 'unsubscribe',
    given: Buffer | undefined,
    context: ExecutionContext,
  ): Promise<Reply> {
    const { uri, params, resource } = await this.resolve(given, context);
    const { gateway, originalUri } = resource;
    const binding = this.calls.keptBindingOf(gateway, context);
    if (!binding) throw needsSession(`resources/${what}`);
    this.calls.assertPool(); // without one no session would stay to hear of an update
    const call = { gateway, method: `resources/${what}`, name: uri, params, repeatable: true, alwaysBound: true };
    const refused = await binding[what](originalUri, uri, () => this.calls.run(call, context));
    return refused ?? EMPTY_RESULT;
  }

  private async resolve(
    given: Buffer | undefined,
    context: ExecutionContext,
  ): Promise<{ uri: string; params: Params; resource: ResourceEntry }> {
    const params = new Params(given);
    const uri = params.string('uri');
    const resource = await this.find(uri, context);
    params.rename(resource.originalUriJson, 'uri');
    return { uri, params, resource };
  }

  /** SPEC G-4: exact record or alias, link seen in this session, template. */
  private async find(uri: string, { view, session }: ExecutionContext): Promise<ResourceEntry> {
    const lookup = await view.findResource(uri);
    if (lookup.kind === 'disabled' || (lookup.kind === 'found' && !lookup.entry.viaTemplate)) {
      return expectFound('resource', uri, lookup);
    }
    // A virtual server shows what was selected for it, whatever its tools link to (G-9).
    const gatewayId = view.serverId === undefined ? session?.links.gatewayOf(uri) : undefined;
    const gateway = gatewayId === undefined ? undefined : await this.catalogue.findGateway(gatewayId);
    if (!gateway) return expectFound('resource', uri, lookup);
    // A link must not be the way around the administrator.
    if (!gateway.enabled)
      return expectFound('resource', uri, { kind: 'disabled', what: 'gateway', name: gateway.name });
    const originalUriJson = Buffer.from(JSON.stringify(uri));
    return { publicUri: uri, originalUri: uri, originalUriJson, viaTemplate: false, gateway };
  }
}

export function needsSession(method: string): ExecutionError {
  const message = `${method} needs a session: initialize one on an MCP endpoint such as /mcp`;
  return new ExecutionError('METHOD_NOT_FOUND', message);
}
