import { Inject, Injectable } from '@nestjs/common';
import { toCodedError } from '../../common/errors.js';
import { responseParts, type RpcMessage } from '../../common/jsonrpc.js';
import { type ExecutionContext, ExecutionService } from '../../execution/execution.service.js';
import { type Log, LOG } from '../../logging/logger.js';
import { Metrics } from '../../metrics/metrics.js';
import { type EdgeExchange } from './edge-exchange.js';

/** Methods that may be a label; anything else a client makes up is `other`. */
const METHODS = new Set([
  ...['initialize', 'ping', 'tools/list', 'tools/call', 'prompts/list', 'prompts/get'],
  ...['resources/list', 'resources/templates/list', 'resources/read'],
]);

/** Runs an accepted request and answers it: with the result as it came, or with HTTP 200 and a JSON-RPC error. */
@Injectable()
export class CallRunner {
  constructor(
    private readonly execution: ExecutionService,
    private readonly metrics: Metrics,
    @Inject(LOG) private readonly log: Log,
  ) {}

  async run(
    exchange: EdgeExchange,
    endpoint: string,
    message: RpcMessage & { readonly method: string },
    context: ExecutionContext,
  ): Promise<void> {
    let outcome: string;
    try {
      const reply = await this.execution.execute(message.method, message.params, withTrace(context, exchange));
      outcome = reply.kind === 'result' ? 'ok' : 'error';
      exchange.json(200, responseParts(message.id, reply.kind, reply.raw));
    } catch (thrown) {
      const error = toCodedError(thrown);
      outcome = error.code;
      if (error.code === 'INTERNAL') {
        this.log.error({ err: thrown, requestId: exchange.requestId, method: message.method }, 'a request failed');
      }
      exchange.fail(error);
    }
    this.count(endpoint, message.method, outcome);
  }

  count(endpoint: string, method: string, outcome: string): void {
    this.metrics.mcpRequests.labels(endpoint, METHODS.has(method) ? method : 'other', outcome).inc();
  }
}

/** W3C Trace Context: passed on only if it has its form. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

function withTrace(context: ExecutionContext, exchange: EdgeExchange): ExecutionContext {
  const traceparent = exchange.header('traceparent');
  return traceparent !== undefined && TRACEPARENT.test(traceparent) ? { ...context, traceparent } : context;
}
