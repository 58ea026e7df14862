import { type CancelSignal } from '../../common/cancellation.js';
import { withDeadline } from '../../common/deadline.js';
import { CodedError } from '../../common/errors.js';
import { type ConnectorOptions } from '../connector-options.js';
import { toUpstreamError } from '../network-errors.js';
import { type Execution, UpstreamError } from '../upstream.errors.js';
import { type EndResult, type HeaderMap } from '../upstream.port.js';
import { Exchange, header, type ResponseHeaders } from '../http/exchange.js';
import { isAccepted, refusalOf } from '../http/refusal.js';
import { type Wire } from './wire.js';

export const POST_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** Requests whose answer's body does not matter: notifications and responses of ours, and the DELETE of a session. */
export class OneWay {
  constructor(
    private readonly wire: Wire,
    private readonly limits: Pick<ConnectorOptions, 'transportTimeoutMs' | 'cleanupTimeoutMs'>,
    /** The server has refused one. */
    private readonly onRefusal: (error: UpstreamError) => void,
  ) {}

  /** @param what is sent, for messages */
  async post(body: Buffer, what: string, signal?: CancelSignal): Promise<void> {
    const { transportTimeoutMs } = this.limits;
    const { gateway } = this.wire;
    const late = (): Error =>
      new UpstreamError('UPSTREAM_TIMEOUT', `${gateway}: no answer to ${what} in ${transportTimeoutMs} ms`, {
        reason: 'timeout',
        execution: 'unknown',
        gateway,
      });
    await withDeadline(transportTimeoutMs, signal, late, (limit) => this.exchange('POST', POST_HEADERS, body, limit));
  }

  /** Never rejects. */
  async delete(): Promise<EndResult> {
    const late = (): Error => this.wire.error('UPSTREAM_TIMEOUT', 'no answer to DELETE', 'unknown');
    try {
      await withDeadline(this.limits.cleanupTimeoutMs, undefined, late, (limit) =>
        this.exchange('DELETE', {}, null, limit),
      );
      return 'terminated';
    } catch (error) {
      return error instanceof UpstreamError && error.code === 'UPSTREAM_SESSION_LOST' ? 'terminated' : 'orphaned';
    }
  }

  private async exchange(
    method: 'POST' | 'DELETE',
    extra: HeaderMap,
    body: Buffer | null,
    signal: CancelSignal,
  ): Promise<void> {
    const headers = await this.headers(extra, signal);
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: Error): void => {
        signal.removeEventListener('abort', abort);
        if (error) reject(error);
        else resolve();
      };
      let status = 0;
      let head: ResponseHeaders = {};
      const chunks: Buffer[] = [];
      const exchange = new Exchange({
        onHead: (code, fields) => {
          [status, head] = [code, fields];
          // Some servers answer a notification with an event stream that never ends.
          if (!isAccepted(code) || !header(fields, 'content-type')?.startsWith('text/event-stream')) return;
          exchange.abort(new Error('not needed'));
          settle();
        },
        onChunk: (chunk) => void chunks.push(chunk),
        onEnd: () => settle(isAccepted(status) ? undefined : this.refused(status, head, Buffer.concat(chunks))),
        onFailure: (error, started) => settle(this.failure(error, started ? 'unknown' : 'none')),
      });
      const abort = (): void => {
        exchange.abort(signal.reason as Error);
        settle(this.failure(signal.reason, 'unknown'));
      };
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      exchange.start(this.wire.dispatcher('call'), this.wire.options(method, headers, body));
    });
  }

  private async headers(extra: HeaderMap, signal: CancelSignal): Promise<Record<string, string>> {
    try {
      return await this.wire.headers('housekeeping', extra, signal);
    } catch (error) {
      if (error instanceof CodedError) throw error;
      throw this.failure(signal.aborted ? signal.reason : error, 'none');
    }
  }

  private refused(status: number, head: ResponseHeaders, body: Buffer): UpstreamError {
    const error = refusalOf(status, head, body, this.wire);
    this.onRefusal(error);
    return error;
  }

  private failure(error: unknown, execution: Execution): UpstreamError {
    return toUpstreamError(error, { gateway: this.wire.gateway, url: this.wire.url, execution });
  }
}
