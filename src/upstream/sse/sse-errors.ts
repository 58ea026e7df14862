import { type Execution, UpstreamError } from '../upstream.errors.js';
import { type Target } from '../upstream.port.js';

/** The failures that an SSE session makes itself, with the name of the gateway in front. */
export class SseErrors {
  readonly gateway: string;
  readonly url: string;

  constructor(target: Target) {
    this.gateway = target.gatewayName;
    this.url = target.url;
  }

  lost(what: string, cause?: unknown): UpstreamError {
    return this.make('UPSTREAM_SESSION_LOST', what, 'none', cause);
  }

  interrupted(what: string, execution: Execution): UpstreamError {
    return this.make('UPSTREAM_INTERRUPTED', what, execution);
  }

  cancelled(execution: Execution, cause: unknown): UpstreamError {
    return this.make('CANCELLED', 'the call was cancelled', execution, cause);
  }

  tooLarge(maxBytes: number, sessionSound = false): UpstreamError {
    const what = `sent an event of more than ${maxBytes} bytes (MAX_UPSTREAM_RESPONSE_BYTES); the call may have run`;
    const { gateway } = this;
    const options = { execution: 'unknown', gateway, sessionSound } as const;
    return new UpstreamError('RESULT_TOO_LARGE', `${gateway}: ${what}`, options);
  }

  timeout(what: string, execution: Execution): UpstreamError {
    const { gateway } = this;
    return new UpstreamError('UPSTREAM_TIMEOUT', `${gateway}: ${what}`, { reason: 'timeout', execution, gateway });
  }

  notMcp(what: string, cause?: unknown): UpstreamError {
    const { gateway } = this;
    const options = { reason: 'not-mcp', execution: 'none', gateway, cause } as const;
    return new UpstreamError('UPSTREAM_NOT_MCP', `${gateway}: ${what}`, options);
  }

  private make(
    code: 'UPSTREAM_SESSION_LOST' | 'UPSTREAM_INTERRUPTED' | 'CANCELLED',
    what: string,
    execution: Execution,
    cause?: unknown,
  ): UpstreamError {
    const { gateway } = this;
    return new UpstreamError(code, `${gateway}: ${what}`, { execution, gateway, cause });
  }
}
