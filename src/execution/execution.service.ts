import { Inject, Injectable } from '@nestjs/common';
import { CatalogueService } from '../catalogue/catalogue.service.js';
import { CAPABILITY_KINDS, type CapabilityKind, KIND_PROTOCOL } from '../catalogue/capability-kind.js';
import { type GatewayEntry } from '../catalogue/catalogue-entries.js';
import { toCodedError } from '../common/errors.js';
import { type Caller } from '../common/principal.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { Metrics } from '../metrics/metrics.js';
import { type HeaderMap, SessionPoolService, UpstreamError, type UpstreamReply } from '../session-pool/index.js';
import { CallClock } from './call-clock.js';
import { ExecutionError } from './execution.errors.js';
import { expectFound } from './expect-found.js';
import { nameIn, optionalString } from './params.js';
import { type DownstreamBinding, poolUseFor } from './pool-use.js';
import { withPublicUri } from './public-contents.js';
import { SessionRouter } from './session-router.js';

/** Answer of a method: the bytes of `result`, or of the `error` that the server itself gave. */
export type Reply = UpstreamReply;

export interface ExecutionContext {
  /** Who calls, for sessions that are shared by identity. */
  readonly caller: Caller;
  /** The downstream session that the request belongs to (SPEC P-4). */
  readonly session?: DownstreamBinding;
  /** W3C trace context of this request; goes upstream with it and with nothing else (P-16). */
  readonly traceparent?: string;
  /** Aborts when nobody wants the answer any more. */
  readonly signal?: AbortSignal;
}

/** Entries of one page of a list. */
const LIST_PAGE = 250;
const EMPTY_RESULT: Reply = { kind: 'result', raw: Buffer.from('{}') };
/** Which list a method asks for. */
const LISTS: ReadonlyMap<string, CapabilityKind> = new Map(
  CAPABILITY_KINDS.map((kind) => [KIND_PROTOCOL[kind].method, kind]),
);

/** What one call is, besides its bytes. */
interface UpstreamCall {
  readonly gateway: GatewayEntry;
  readonly method: string;
  /** The public name or URI, for messages. */
  readonly name: string;
  readonly params: Buffer;
  /** Whether it may run twice without harm (SPEC P-9). */
  readonly repeatable: boolean;
}

/** Runs one MCP request on this replica (SPEC D-6). Lists come from the catalogue, calls go to the servers. */
@Injectable()
export class ExecutionService {
  private readonly limits: { readonly silenceMs: number; readonly maxMs: number };

  constructor(
    @Inject(SETTINGS) settings: Settings,
    private readonly catalogue: CatalogueService,
    private readonly pool: SessionPoolService,
    private readonly metrics: Metrics,
  ) {
    this.limits = { silenceMs: settings.CALL_TIMEOUT_SECONDS, maxMs: settings.CALL_MAX_SECONDS };
  }

  /**
   * @param params the bytes of `params`, if there were any
   * @throws CodedError; never for a JSON-RPC error that the server gave, which is a reply
   */
  async execute(method: string, params: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    const kind = LISTS.get(method);
    if (kind !== undefined) return this.list(kind, params);
    switch (method) {
      case 'ping':
        return EMPTY_RESULT;
      case 'tools/call':
        return this.callTool(params, context);
      case 'resources/read':
        return this.readResource(params, context);
      case 'prompts/get':
        return this.getPrompt(params, context);
      default:
        throw new ExecutionError('METHOD_NOT_FOUND', `unknown method ${method.slice(0, 100)}`);
    }
  }

  /** The downstream session has ended: what is bound to it ends, too. @param sessionHash SHA-256 of its id */
  endSession(sessionHash: string): void {
    this.pool.endDownstream(sessionHash);
  }

  private async list(kind: CapabilityKind, params: Buffer | undefined): Promise<Reply> {
    const cursor = optionalString(params, 'cursor');
    const page = await this.catalogue.listPage(kind, { limit: LIST_PAGE, ...(cursor === undefined ? {} : { cursor }) });
    const parts: Buffer[] = [Buffer.from(`{"${KIND_PROTOCOL[kind].member}":[`)];
    page.items.forEach((item, index) => (index === 0 ? parts.push(item) : parts.push(COMMA, item)));
    const tail = page.nextCursor === undefined ? ']}' : `],"nextCursor":${JSON.stringify(page.nextCursor)}}`;
    return { kind: 'result', raw: Buffer.concat([...parts, Buffer.from(tail)]) };
  }

  private async callTool(given: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    const { name, withName } = nameIn(given, 'name');
    const tool = await expectFound('tool', name, this.catalogue.findTool(name));
    const { gateway, originalNameJson, readOnlyHint, idempotentHint } = tool;
    const params = withName(originalNameJson);
    const repeatable = readOnlyHint || idempotentHint;
    return this.callUpstream({ gateway, method: 'tools/call', name, params, repeatable }, context);
  }

  private async readResource(given: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    const { name, withName } = nameIn(given, 'uri');
    const resource = await expectFound('resource', name, this.catalogue.findResource(name));
    const { gateway, originalUriJson } = resource;
    const call = { gateway, method: 'resources/read', name, params: withName(originalUriJson), repeatable: true };
    return withPublicUri(await this.callUpstream(call, context), resource);
  }

  private async getPrompt(given: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    const { name, withName } = nameIn(given, 'name');
    const { gateway, originalNameJson } = await expectFound('prompt', name, this.catalogue.findPrompt(name));
    const call = { gateway, method: 'prompts/get', name, params: withName(originalNameJson), repeatable: true };
    return this.callUpstream(call, context);
  }

  private async callUpstream(call: UpstreamCall, context: ExecutionContext): Promise<Reply> {
    const { gateway, method, params, repeatable } = call;
    const clock = new CallClock(this.limits, (afterMs) => this.tooSlow(call, afterMs), context.signal);
    const started = performance.now();
    let outcome = 'ok';
    try {
      const reply = await this.pool.use(
        {
          gatewayId: gateway.id,
          gatewayName: gateway.name,
          place: () => poolUseFor(gateway, context),
          repeatable,
          borrower: `${method} ${shown(call.name)} for ${context.caller.userIdentity.slice(0, 8)}`,
        },
        async (session) => {
          const router = SessionRouter.of(session);
          let id = 0;
          const onId = (given: number): void => router.begin((id = given), () => clock.signOfLife());
          return session
            .request(method, params, { signal: clock.signal, onId, ...headersOf(context) })
            .finally(() => router.end(id));
        },
        clock.signal,
      );
      if (reply.kind === 'error') outcome = 'error';
      return reply;
    } catch (error) {
      outcome = toCodedError(error).code;
      throw error;
    } finally {
      clock.stop();
      this.metrics.upstreamCalls.labels(gateway.name, outcome).observe((performance.now() - started) / 1000);
    }
  }

  private tooSlow({ gateway, name }: UpstreamCall, afterMs: number): UpstreamError {
    const { silenceMs, maxMs } = this.limits;
    const message =
      `${gateway.name}: ${shown(name)} did not answer; given up after ${afterMs} ms ` +
      `(CALL_TIMEOUT_SECONDS=${silenceMs / 1000}, CALL_MAX_SECONDS=${maxMs / 1000})`;
    return new UpstreamError('UPSTREAM_TIMEOUT', message, {
      reason: 'timeout',
      execution: 'unknown',
      gateway: gateway.name,
    });
  }
}

const COMMA = Buffer.from(',');

/** A name as messages show it: short, and without the query of a URI, which may hold a secret. */
function shown(name: string): string {
  return name.replace(/\?.*/s, '').slice(0, 128);
}

function headersOf({ traceparent }: ExecutionContext): { headers?: HeaderMap } {
  return traceparent === undefined ? {} : { headers: { traceparent } };
}
