import { Inject, Injectable } from '@nestjs/common';
import { CAPABILITY_KINDS, type CapabilityKind, CatalogueService, KIND_PROTOCOL } from '../catalogue/index.js';
import { settledWithin } from '../common/deadline.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { Metrics } from '../metrics/metrics.js';
import { SessionPoolService } from '../session-pool/index.js';
import { type ClientSession, LOG_LEVELS } from './client-session.js';
import { EMPTY_RESULT, type ExecutionContext, type Reply } from './execution-context.js';
import { ExecutionError } from './execution.errors.js';
import { expectFound } from './expect-found.js';
import { Params } from './params.js';
import { linksIn } from './resource-links.js';
import { needsSession, ResourceMethods } from './resource-methods.js';
import { UpstreamCalls } from './upstream-calls.js';

/** Entries of one page of a list. */
const LIST_PAGE = 250;
/** Which list a method asks for. */
const LISTS: ReadonlyMap<string, CapabilityKind> = new Map(
  CAPABILITY_KINDS.map((kind) => [KIND_PROTOCOL[kind].method, kind]),
);
/** How long a client waits until its servers know the level that it wants. */
const LOG_LEVEL_WAIT_MS = 1_000;
const COMMA = Buffer.from(',');

/** Runs one MCP request on this replica (SPEC D-6). Lists come from the catalogue, calls go to the servers. */
@Injectable()
export class ExecutionService {
  private readonly calls: UpstreamCalls;
  private readonly resources: ResourceMethods;

  constructor(
    @Inject(SETTINGS) settings: Settings,
    catalogue: CatalogueService,
    private readonly pool: SessionPoolService,
    metrics: Metrics,
  ) {
    const limits = {
      silenceMs: settings.CALL_TIMEOUT_SECONDS,
      maxMs: settings.CALL_MAX_SECONDS,
      healthIntervalMs: settings.HEALTH_CHECK_INTERVAL,
    };
    this.calls = new UpstreamCalls(pool, limits, metrics);
    this.resources = new ResourceMethods(catalogue, this.calls);
  }

  /**
   * @param params the bytes of `params`, if there were any
   * @throws CodedError; never for a JSON-RPC error that the server gave, which is a reply
   */
  async execute(method: string, params: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    const kind = LISTS.get(method);
    if (kind !== undefined) return this.list(kind, params, context);
    switch (method) {
      case 'ping':
        return EMPTY_RESULT;
      case 'tools/call':
        return this.callTool(params, context);
      case 'resources/read':
        return this.resources.read(params, context);
      case 'resources/subscribe':
        return this.resources.subscribe(params, context);
      case 'resources/unsubscribe':
        return this.resources.unsubscribe(params, context);
      case 'prompts/get':
        return this.getPrompt(params, context);
      case 'completion/complete':
        return this.complete(params, context);
      case 'logging/setLevel':
        return this.setLevel(params, context);
      default:
        throw new ExecutionError('METHOD_NOT_FOUND', `unknown method ${method.slice(0, 100)}`);
    }
  }

  /** A notification of the client that its servers should hear. Those that cannot be told now are not (MCP, Roots). */
  async tellServers(session: ClientSession, method: string, params: Buffer | undefined): Promise<void> {
    await Promise.allSettled([...session.bound].map((binding) => binding.tell(method, params)));
  }

  /** The downstream session has ended: what is bound to it ends, too. @param sessionHash SHA-256 of its id */
  endSession(sessionHash: string): void {
    this.pool.endDownstream(sessionHash);
  }

  private async list(kind: CapabilityKind, params: Buffer | undefined, { view }: ExecutionContext): Promise<Reply> {
    const cursor = new Params(params).optionalString('cursor');
    const page = await view.listPage(kind, { limit: LIST_PAGE, ...(cursor === undefined ? {} : { cursor }) });
    const parts: Buffer[] = [Buffer.from(`{"${KIND_PROTOCOL[kind].member}":[`)];
    page.items.forEach((item, index) => (index === 0 ? parts.push(item) : parts.push(COMMA, item)));
    const tail = page.nextCursor === undefined ? ']}' : `],"nextCursor":${JSON.stringify(page.nextCursor)}}`;
    return { kind: 'result', raw: Buffer.concat([...parts, Buffer.from(tail)]) };
  }

  private async callTool(given: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    const params = new Params(given);
    const name = params.string('name');
    const lookup = context.view.findTool(name);
    const tool = await expectFound('tool', name, lookup instanceof Promise ? await lookup : lookup);
    const { gateway, originalNameJson, readOnlyHint, idempotentHint } = tool;
    params.rename(originalNameJson, 'name');
    const repeatable = readOnlyHint || idempotentHint;
    const reply = await this.calls.run({ gateway, method: 'tools/call', name, params, repeatable }, context);
    if (context.session && reply.kind === 'result') {
      const links = linksIn(reply.raw);
      if (links.length > 0) context.session.links.note(links, gateway.id);
    }
    return reply;
  }

  private async getPrompt(given: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    const params = new Params(given);
    const name = params.string('name');
    const { gateway, originalNameJson } = await expectFound('prompt', name, context.view.findPrompt(name));
    params.rename(originalNameJson, 'name');
    return this.calls.run({ gateway, method: 'prompts/get', name, params, repeatable: true }, context);
  }

  /** MCP, Utilities, "Completion": what is referred to says which server is asked. */
  private async complete(given: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    const { view } = context;
    const params = new Params(given);
    const method = 'completion/complete';
    switch (params.string('ref', 'type')) {
      case 'ref/prompt': {
        const name = params.string('ref', 'name');
        const { gateway, originalNameJson } = await expectFound('prompt', name, view.findPrompt(name));
        params.rename(originalNameJson, 'ref', 'name');
        return this.calls.run({ gateway, method, name, params, repeatable: true }, context);
      }
      case 'ref/resource': {
        const name = params.string('ref', 'uri');
        const template = await view.findTemplate(name);
        const lookup = template.kind === 'missing' ? view.findResource(name) : template;
        const { gateway, originalUriJson } = await expectFound('resource', name, lookup);
        params.rename(originalUriJson, 'ref', 'uri');
        return this.calls.run({ gateway, method, name, params, repeatable: true }, context);
      }
      default:
        throw new ExecutionError('INVALID_PARAMS', 'params.ref.type must be ref/prompt or ref/resource');
    }
  }

  /** Remembered, set on the servers that are connected now, and on the others when they are (SPEC D-8). */
  private async setLevel(given: Buffer | undefined, { session }: ExecutionContext): Promise<Reply> {
    if (!session) throw needsSession('logging/setLevel');
    const wanted = new Params(given).string('level');
    const level = LOG_LEVELS.find((one) => one === wanted);
    if (level === undefined) {
      throw new ExecutionError('INVALID_PARAMS', `params.level must be one of ${LOG_LEVELS.join(', ')}`);
    }
    session.logLevel = level;
    const told = Promise.allSettled([...session.bound].map((binding) => binding.applyLogLevel()));
    await settledWithin(told, LOG_LEVEL_WAIT_MS); // a server that hangs delays nobody
    return EMPTY_RESULT;
  }
}
