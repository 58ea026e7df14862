import { type CancelSignal } from '../common/cancellation.js';
import { withDeadline } from '../common/deadline.js';
import { type HealthMethod } from '../config/schema.js';
import { type UpstreamReply, type UpstreamSession } from '../upstream/upstream.port.js';

export { type HealthMethod } from '../config/schema.js';

export type Health = 'healthy' | 'unhealthy';

export interface HealthChainOptions {
  /** Asked in this order. */
  readonly methods: readonly HealthMethod[];
  /** For each method. */
  readonly timeoutMs: number;
}

const RPC_METHODS = {
  ping: 'ping',
  list_tools: 'tools/list',
  list_prompts: 'prompts/list',
  list_resources: 'resources/list',
} as const satisfies Record<Exclude<HealthMethod, 'skip'>, string>;

const METHOD_NOT_FOUND = -32601;

/**
 * Asks a session whether it still works (SPEC P-10).
 *
 * Only "method not found" goes on to the next method; silence does not, or a hung session would pass by a `skip` at the
 * end of the chain. A chain that ends without an answer found nothing healthy.
 */
export class HealthChain {
  constructor(private readonly options: HealthChainOptions) {}

  /** Never throws. An abort of `signal` ends it as `unhealthy`: the session has not shown that it works. */
  async check(session: UpstreamSession, signal?: CancelSignal): Promise<Health> {
    for (const method of this.options.methods) {
      if (session.lost) return 'unhealthy';
      if (method === 'skip') return 'healthy';
      const answer = await this.ask(session, RPC_METHODS[method], signal);
      if (answer !== 'unknown-method') return answer;
    }
    return 'unhealthy';
  }

  private async ask(
    session: UpstreamSession,
    method: string,
    signal?: CancelSignal,
  ): Promise<Health | 'unknown-method'> {
    const { timeoutMs } = this.options;
    const late = (): Error => new Error(`no answer to ${method} in ${timeoutMs} ms`);
    try {
      const reply = await withDeadline(timeoutMs, signal, late, (limit) =>
        session.request(method, undefined, { signal: limit }),
      );
      if (reply.kind === 'result') return 'healthy';
      return codeOf(reply) === METHOD_NOT_FOUND ? 'unknown-method' : 'unhealthy';
    } catch {
      return 'unhealthy'; // the way to the server failed, or the time was up
    }
  }
}

function codeOf({ raw }: UpstreamReply): unknown {
  return (JSON.parse(raw.toString('utf8')) as { code?: unknown } | null)?.code;
}
