import { type CatalogueService, type GatewayEntry } from '../catalogue/index.js';
import { withDeadline } from '../common/deadline.js';
import { CodedError } from '../common/errors.js';
import {
  PoolKey,
  type PoolPlace,
  type ReasonClass,
  type SessionPoolService,
  UpstreamError,
  type UpstreamReply,
  type UpstreamSession,
} from '../session-pool/index.js';
import { StepLimit } from './step-limit.js';

export interface GatewayHealthOptions {
  /** For opening a session, and for each request on it (`HEALTH_CHECK_TIMEOUT`). */
  readonly timeoutMs: number;
  /** The check also calls `tools/list` (`MCP_SESSION_POOL_EXPLICIT_HEALTH_RPC`). */
  readonly explicitRpc: boolean;
}

export interface HealthReport {
  readonly healthy: boolean;
  /** Why not, where the failure has a class (SPEC G-2). */
  readonly reason?: ReasonClass;
  readonly message?: string;
  readonly durationMs: number;
}

type Failure = Pick<HealthReport, 'reason' | 'message'>;

const METHOD_NOT_FOUND = -32601;

/**
 * One health check of one gateway (SPEC G-7). Over streamable HTTP on a pooled session of an identity that is no user's;
 * over SSE the stream is opened and closed without the pool. It stores nothing: who asks decides what a failure means.
 */
export class GatewayHealth {
  constructor(
    private readonly catalogue: Pick<CatalogueService, 'findGateway'>,
    private readonly sessions: Pick<SessionPoolService, 'use' | 'openUnpooled'>,
    private readonly options: GatewayHealthOptions,
  ) {}

  /**
   * @throws CodedError NOT_FOUND; what says nothing about the server: no room in the pool, a circuit that is open (nobody
   *   was asked), 429, a credential that cannot be decrypted, the reason of `signal`
   */
  async checkGateway(id: string, signal?: AbortSignal): Promise<HealthReport> {
    const gateway = await this.catalogue.findGateway(id);
    if (!gateway) throw new CodedError('NOT_FOUND', `there is no gateway ${id}`);
    const started = performance.now();
    const failure = await this.failureOf(gateway, signal);
    const durationMs = Math.round(performance.now() - started);
    return failure ? { healthy: false, ...failure, durationMs } : { healthy: true, durationMs };
  }

  private async failureOf(gateway: GatewayEntry, signal?: AbortSignal): Promise<Failure | undefined> {
    const limit = new StepLimit(this.options.timeoutMs, () => this.tooSlow(gateway, 'opening a session'), signal);
    try {
      return refusalOf(await this.ask(gateway, limit));
    } catch (error) {
      signal?.throwIfAborted();
      return failureFrom(error, limit.signal);
    } finally {
      limit.stop();
    }
  }

  /** The last answer that was needed to know. */
  private ask(gateway: GatewayEntry, limit: StepLimit): Promise<UpstreamReply> {
    const work = async (session: UpstreamSession): Promise<UpstreamReply> => {
      limit.hold(); // each request has a limit of its own, so that the pool sees a session that does not answer
      try {
        const pong = await this.request(gateway, session, 'ping', limit.signal);
        if (refusalOf(pong) || !this.options.explicitRpc) return pong;
        return await this.request(gateway, session, 'tools/list', limit.signal);
      } finally {
        limit.restart(); // the pool may open another session for a dead one
      }
    };
    const { id: gatewayId, name: gatewayName, target } = gateway;
    if (target.transport === 'sse') return this.sessions.openUnpooled(target, 'health', work, limit.signal);
    const place = (): PoolPlace => ({ key: PoolKey.health(gateway.target) });
    const use = { gatewayId, gatewayName, place, repeatable: true, borrower: 'health check' };
    return this.sessions.use(use, work, limit.signal);
  }

  private request(
    gateway: GatewayEntry,
    session: UpstreamSession,
    method: string,
    signal: AbortSignal,
  ): Promise<UpstreamReply> {
    const late = (): Error => this.tooSlow(gateway, method);
    return withDeadline(this.options.timeoutMs, signal, late, async (limited) => {
      try {
        return await session.request(method, undefined, { signal: limited });
      } catch (error) {
        if (limited.aborted && !signal.aborted) throw limited.reason;
        throw error;
      }
    });
  }

  private tooSlow({ name: gateway }: GatewayEntry, what: string): UpstreamError {
    const message = `${gateway}: ${what} took longer than ${this.options.timeoutMs} ms (HEALTH_CHECK_TIMEOUT)`;
    return new UpstreamError('UPSTREAM_TIMEOUT', message, { reason: 'timeout', execution: 'unknown', gateway });
  }
}

/** Whether the server's answer speaks against it: one that does not know the method is alive. */
function refusalOf(reply: UpstreamReply): Failure | undefined {
  if (reply.kind === 'result') return undefined;
  const error = JSON.parse(reply.raw.toString('utf8')) as { code?: unknown; message?: unknown } | null;
  const { code, message } = error ?? {};
  if (code === METHOD_NOT_FOUND) return undefined;
  return { message: `the server answered error ${String(code)}: ${String(message).slice(0, 300)}` };
}

/** @throws the error, if it says nothing about the server */
function failureFrom(thrown: unknown, limit: AbortSignal): Failure {
  const { cause } = thrown as { cause?: unknown };
  // Who gave up while waiting hears of the time-out; that the pool had no room is the cause of it.
  const error = cause instanceof CodedError && cause.code === 'POOL_EXHAUSTED' ? cause : thrown;
  if (error instanceof CodedError && error.code === 'POOL_EXHAUSTED') {
    // Given up while a session was being opened: the server is slow. Otherwise the pool had no room for one.
    if (!limit.aborted || !(Number(error.options.details?.opening) > 0)) throw error;
    return { reason: 'timeout', message: (limit.reason as Error).message };
  }
  if (limit.aborted) return { reason: 'timeout', message: (limit.reason as Error).message };
  if (error instanceof UpstreamError && error.status !== 429) {
    return { ...(error.reason === undefined ? {} : { reason: error.reason }), message: error.message };
  }
  throw error;
}
