import { Inject, Injectable } from '@nestjs/common';
import { AccessService } from '../../auth/access.service.js';
import { CatalogueService } from '../../catalogue/index.js';
import { clientSignal } from '../../common/client-signal.js';
import { traceparentOf } from '../../common/traceparent.js';
import { SETTINGS } from '../../config/config.module.js';
import { type Settings } from '../../config/settings.js';
import { DownstreamError } from '../downstream.errors.js';
import { CallRunner } from './call-runner.js';
import { type EdgeExchange } from './edge-exchange.js';
import { checkContentType, parseMessage } from './protocol-checks.js';

/** `POST /rpc` (SPEC D-4): one JSON-RPC request without a session. Here a client that goes away cancels (D-8). */
@Injectable()
export class RpcEndpoint {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly access: AccessService,
    private readonly catalogue: CatalogueService,
    private readonly runner: CallRunner,
  ) {}

  async handle(exchange: EdgeExchange): Promise<void> {
    if (exchange.req.method !== 'POST') {
      throw new DownstreamError('METHOD_NOT_ALLOWED', 'POST one JSON-RPC request', { details: { allow: 'POST' } });
    }
    const principal = await this.access.admit(exchange.req.headers, 'mcp:use');
    checkContentType(exchange);
    const message = parseMessage(exchange, await exchange.body(this.settings.MAX_BODY_BYTES));
    const { method, id } = message;
    if (method === undefined || id === undefined) {
      throw new DownstreamError(
        'BAD_REQUEST',
        'POST a request: there is no session that a notification could belong to',
      );
    }
    const caller = this.access.callerOf(principal, exchange.req.headers);
    const signal = clientSignal(exchange.res);
    const traceparent = traceparentOf(exchange.header('traceparent'));
    await this.runner.run(
      exchange,
      '/rpc',
      { ...message, method, id },
      { caller, view: this.catalogue.all, signal, ...(traceparent === undefined ? {} : { traceparent }) },
    );
  }
}
