import { Inject, Injectable } from '@nestjs/common';
import { CatalogueService } from '../catalogue/catalogue.service.js';
import { type ToolEntry, type ToolLookup } from '../catalogue/catalogue-entries.js';
import { toCodedError } from '../common/errors.js';
import { JsonError, scanObject, sliceOf, type Span } from '../common/json-scan.js';
import { readString } from '../common/jsonrpc.js';
import { type Caller } from '../common/principal.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { Metrics } from '../metrics/metrics.js';
import { PoolKey, SessionPoolService, UpstreamError, type UpstreamReply } from '../session-pool/index.js';
import { CallClock } from './call-clock.js';
import { ExecutionError } from './execution.errors.js';
import { SessionRouter } from './session-router.js';

/** Answer of a method: the bytes of `result`, or of the `error` that the server itself gave. */
export type Reply = UpstreamReply;

export interface ExecutionContext {
  readonly caller: Caller;
  /** Aborts when nobody wants the answer any more. */
  readonly signal?: AbortSignal;
}

/** Entries of one page of a list. */
const LIST_PAGE = 250;
const EMPTY_RESULT: Reply = { kind: 'result', raw: Buffer.from('{}') };
const EMPTY_PARAMS = Buffer.from('{}');

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
    switch (method) {
      case 'ping':
        return EMPTY_RESULT;
      case 'tools/list':
        return this.listTools(params);
      case 'tools/call':
        return this.callTool(params, context);
      default:
        throw new ExecutionError('METHOD_NOT_FOUND', `unknown method ${method.slice(0, 100)}`);
    }
  }

  private async listTools(params: Buffer | undefined): Promise<Reply> {
    const cursor = stringMember(params ?? EMPTY_PARAMS, 'cursor');
    const page = await this.catalogue.listTools({ limit: LIST_PAGE, ...(cursor === undefined ? {} : { cursor }) });
    const parts: Buffer[] = [Buffer.from('{"tools":[')];
    page.items.forEach((item, index) => (index === 0 ? parts.push(item) : parts.push(COMMA, item)));
    const tail = page.nextCursor === undefined ? ']}' : `],"nextCursor":${JSON.stringify(page.nextCursor)}}`;
    return { kind: 'result', raw: Buffer.concat([...parts, Buffer.from(tail)]) };
  }

  private async callTool(params: Buffer | undefined, context: ExecutionContext): Promise<Reply> {
    const { name, span, json } = nameOf(params);
    const found = this.catalogue.findTool(name);
    const tool = expectTool(found instanceof Promise ? await found : found, name);
    // SPEC D-7: the name is the only thing that changes; everything around it goes on as the bytes that came.
    const forwarded = Buffer.concat([json.subarray(0, span.start), tool.originalNameJson, json.subarray(span.end)]);
    return this.callUpstream(tool, 'tools/call', forwarded, context);
  }

  private async callUpstream(
    tool: ToolEntry,
    method: string,
    params: Buffer,
    context: ExecutionContext,
  ): Promise<Reply> {
    const { gateway } = tool;
    const clock = new CallClock(this.limits, (afterMs) => this.tooSlow(tool, afterMs), context.signal);
    const started = performance.now();
    let outcome = 'ok';
    try {
      const reply = await this.pool.use(
        PoolKey.for(context.caller, gateway.target),
        async (session) => {
          const router = SessionRouter.of(session);
          let id = 0;
          const onId = (given: number): void => router.begin((id = given), () => clock.signOfLife());
          return session.request(method, params, { signal: clock.signal, onId }).finally(() => router.end(id));
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

  private tooSlow(tool: ToolEntry, afterMs: number): UpstreamError {
    const { silenceMs, maxMs } = this.limits;
    const message =
      `${tool.gateway.name}: ${tool.publicName} did not answer; given up after ${afterMs} ms ` +
      `(CALL_TIMEOUT_SECONDS=${silenceMs / 1000}, CALL_MAX_SECONDS=${maxMs / 1000})`;
    return new UpstreamError('UPSTREAM_TIMEOUT', message, {
      reason: 'timeout',
      execution: 'unknown',
      gateway: tool.gateway.name,
    });
  }
}

const COMMA = Buffer.from(',');

function expectTool(lookup: ToolLookup, name: string): ToolEntry {
  switch (lookup.kind) {
    case 'found':
      return lookup.tool;
    case 'missing':
      throw new ExecutionError('UNKNOWN_TOOL', `unknown tool ${JSON.stringify(name.slice(0, 128))}; see tools/list`);
    case 'disabled':
      throw new ExecutionError(
        lookup.what === 'tool' ? 'TOOL_DISABLED' : 'GATEWAY_DISABLED',
        `${lookup.what} ${JSON.stringify(lookup.name)} is disabled by the administrator`,
      );
  }
}

function nameOf(params: Buffer | undefined): { name: string; span: Span; json: Buffer } {
  if (params === undefined) throw new ExecutionError('INVALID_PARAMS', 'params with a name are missing');
  const span = membersOf(params).get('name');
  if (!span) throw new ExecutionError('INVALID_PARAMS', 'params.name is missing');
  const raw = sliceOf(params, span);
  if (raw[0] !== 0x22) throw new ExecutionError('INVALID_PARAMS', 'params.name must be a string');
  return { name: readString(raw), span, json: params };
}

function stringMember(params: Buffer, member: string): string | undefined {
  const span = membersOf(params).get(member);
  if (!span) return undefined;
  const raw = sliceOf(params, span);
  if (raw[0] !== 0x22) throw new ExecutionError('INVALID_PARAMS', `params.${member} must be a string`);
  return readString(raw);
}

function membersOf(params: Buffer): Map<string, Span> {
  try {
    return scanObject(params);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new ExecutionError('INVALID_PARAMS', `params: ${error.message}`);
  }
}
