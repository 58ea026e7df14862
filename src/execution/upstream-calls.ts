import { type GatewayEntry } from '../catalogue/index.js';
import { type CancelSignal } from '../common/cancellation.js';
import { toCodedError } from '../common/errors.js';
import { type Metrics } from '../metrics/metrics.js';
import {
  type PoolPlace,
  type PoolUse,
  type RequestOptions,
  type SessionPoolService,
  UpstreamError,
} from '../session-pool/index.js';
import { CallClock } from './call-clock.js';
import { expectReachable } from './expect-reachable.js';
import { type ExecutionContext, type Reply } from './execution-context.js';
import { type GatewayBinding } from './gateway-binding.js';
import { type Params } from './params.js';
import { boundPlace, sharedPlace, usesBound } from './pool-use.js';
import { SessionRouter } from './session-router.js';

/** What one call is. */
export interface UpstreamCall {
  readonly gateway: GatewayEntry;
  readonly method: string;
  /** The public name or URI, for messages. */
  readonly name: string;
  readonly params: Params;
  /** Whether it may run twice without harm (SPEC P-9). */
  readonly repeatable: boolean;
  /** Whatever the gateway's policy says: what it does lasts for the session (a subscription). */
  readonly alwaysBound?: boolean;
}

type Writable<T> = { -readonly [Member in keyof T]: T[Member] };

/** The limits of a call (SPEC A-5); milliseconds. */
export interface CallLimits {
  readonly silenceMs: number;
  readonly maxMs: number;
  /** How often gateways' health is looked at (SPEC G-7). */
  readonly healthIntervalMs: number;
}

/** Runs calls on the servers: the right session, the limits, and the way back for what the server says meanwhile. */
export class UpstreamCalls {
  constructor(
    private readonly pool: SessionPoolService,
    private readonly limits: CallLimits,
    private readonly metrics: Metrics,
  ) {}

  /** @throws CodedError; never for a JSON-RPC error that the server gave, which is a reply */
  async run(call: UpstreamCall, context: ExecutionContext): Promise<Reply> {
    const { gateway, method, params, repeatable } = call;
    const { sink, caller } = context;
    const clock = new CallClock(this.limits, (afterMs) => this.tooSlow(call, afterMs), context.signal);
    const started = performance.now();
    let outcome = 'ok';
    try {
      expectReachable(gateway, this.limits.healthIntervalMs);
      const place = await this.placeOf(call, context, clock.signal);
      const reply = await this.pool.use(
        {
          gatewayId: gateway.id,
          gatewayName: gateway.name,
          place,
          repeatable,
          borrower: `${method} ${shown(call.name)} for ${caller.userIdentity.slice(0, 8)}`,
        },
        (session) => {
          const router = SessionRouter.of(session);
          // Also where nobody listens: a client's own token could be that of another call on this session.
          const routed = router.call(clock, sink, params.progressToken);
          const token = routed.token && Buffer.from(String(routed.token.ours));
          const options: Writable<RequestOptions> = {
            signal: clock.signal,
            onId: (id) => router.started(id, routed),
          };
          if (sink) options.onPause = (retryMs) => sink.pause?.(retryMs);
          if (context.traceparent !== undefined) options.headers = { traceparent: context.traceparent };
          return session.request(method, params.withToken(token), options).finally(() => router.ended(routed));
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

  /** @throws PoolError POOL_UNAVAILABLE where every call has a session of its own */
  assertPool(): void {
    this.pool.requirePool();
  }

  /** What the session has at the gateway, and keeps for as long as it is subscribed to something there. */
  keptBindingOf(gateway: GatewayEntry, { session, caller }: ExecutionContext): GatewayBinding | undefined {
    const binding = session?.bindingOf(gateway, this.limits);
    if (!session || !binding) return undefined;
    const use: PoolUse = {
      gatewayId: gateway.id,
      gatewayName: gateway.name,
      place: () => boundPlace(gateway, { caller, session }, binding),
      repeatable: true,
      borrower: `subscriptions for ${caller.userIdentity.slice(0, 8)}`,
    };
    binding.keepBy((signal) => this.pool.use(use, (open) => open.request('ping', undefined, { signal }), signal));
    return binding;
  }

  /** The way to where the call runs; a call that will be bound registers its mapping before it is sent (SPEC D-5). */
  private async placeOf(
    { gateway, alwaysBound }: UpstreamCall,
    context: ExecutionContext,
    signal: CancelSignal,
  ): Promise<() => PoolPlace> {
    const { session, caller } = context;
    if (!session || !(alwaysBound || usesBound(gateway))) return () => sharedPlace(gateway, context);
    const binding = session.bindingOf(gateway, this.limits);
    const { url, transport } = gateway.target;
    const register = (): Promise<void> =>
      this.pool.mappings.register(session.id, url, gateway.id, transport, caller.principal?.subject);
    // Of a session that has ended meanwhile nobody would ever forget the mapping.
    if (!signal.aborted) await binding.registered(`${transport} ${url}`, register);
    return () => boundPlace(gateway, { caller, session }, binding);
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

/** A name as messages show it: short, and without the query of a URI, which may hold a secret. */
function shown(name: string): string {
  return name.replace(/\?.*/s, '').slice(0, 128);
}
