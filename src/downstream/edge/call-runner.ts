import { Injectable } from '@nestjs/common';
import { toCodedError } from '../../common/errors.js';
import { type Id, responseParts, type RpcMessage } from '../../common/jsonrpc.js';
import { type ExecutionContext, ExecutionService } from '../../execution/index.js';
import { SessionServices } from '../session/session-services.js';
import { type EdgeExchange } from './edge-exchange.js';

/** Runs a request that belongs to no session, and answers it with JSON. */
@Injectable()
export class CallRunner {
  constructor(
    private readonly execution: ExecutionService,
    private readonly services: SessionServices,
  ) {}

  async run(
    exchange: EdgeExchange,
    endpoint: string,
    message: RpcMessage & { readonly method: string; readonly id: Id },
    context: ExecutionContext,
  ): Promise<void> {
    const { id, method, params } = message;
    let outcome: string;
    try {
      const { kind, raw } = await this.execution.execute(method, params, context);
      outcome = kind === 'result' ? 'ok' : 'error';
      exchange.json(200, responseParts(id, kind, raw));
    } catch (thrown) {
      const error = toCodedError(thrown);
      outcome = error.code;
      if (error.code === 'INTERNAL') this.services.reportUnforeseen(thrown, method, exchange.requestId);
      exchange.fail(error);
    }
    this.services.count(endpoint, method, outcome);
  }
}
