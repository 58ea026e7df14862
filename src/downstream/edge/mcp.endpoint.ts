import { Inject, Injectable } from '@nestjs/common';
import { AccessService } from '../../auth/access.service.js';
import { type RpcMessage } from '../../common/jsonrpc.js';
import { type Principal, sha256Hex } from '../../common/principal.js';
import { responseFrame } from '../../common/jsonrpc.js';
import { CLIENT_INFO } from '../../common/version.js';
import { SETTINGS } from '../../config/config.module.js';
import { type Settings } from '../../config/settings.js';
import { DownstreamError } from '../downstream.errors.js';
import { negotiate } from '../protocol.js';
import { type DownstreamSession, SessionRegistry } from '../session-registry.js';
import { CallRunner } from './call-runner.js';
import { type EdgeExchange } from './edge-exchange.js';
import { checkAccept, checkContentType, checkVersionHeader, parseMessage } from './protocol-checks.js';

const ENDPOINT = '/mcp';
const ALLOW = 'POST, DELETE';
/** SPEC D-6, as far as it is served: nothing tells a client yet that a list has changed. */
const CAPABILITIES = { tools: {}, resources: {}, prompts: {} };

/** Streamable HTTP at `/mcp` (SPEC D-1, D-2, D-10). */
@Injectable()
export class McpEndpoint {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly access: AccessService,
    private readonly sessions: SessionRegistry,
    private readonly runner: CallRunner,
  ) {}

  async handle(exchange: EdgeExchange): Promise<void> {
    const { method } = exchange.req;
    // Every request is authorized, session or not: a session id is no credential.
    const principal = await this.access.admit(exchange.req.headers, 'mcp:use');
    if (method === 'POST') return this.post(exchange, principal);
    if (method === 'DELETE') return this.delete(exchange, principal);
    throw new DownstreamError('METHOD_NOT_ALLOWED', `use ${ALLOW}`, { details: { allow: ALLOW } });
  }

  private async post(exchange: EdgeExchange, principal: Principal | undefined): Promise<void> {
    checkContentType(exchange);
    checkAccept(exchange);
    const message = parseMessage(exchange, await exchange.body(this.settings.MAX_BODY_BYTES));
    if (message.method === 'initialize') return this.initialize(exchange, message, principal);

    checkVersionHeader(exchange);
    const session = this.sessionOf(exchange, principal);
    const { method, id } = message;
    if (method === undefined || id === undefined) return exchange.empty(202);
    // A dropped connection is not a cancel here (D-8), so no signal goes with it.
    const { caller, hash } = session;
    await this.runner.run(exchange, ENDPOINT, { ...message, method }, { caller, session: { hash } });
  }

  private initialize(exchange: EdgeExchange, message: RpcMessage, principal: Principal | undefined): void {
    if (message.id === undefined) throw new DownstreamError('BAD_REQUEST', 'initialize must be a request');
    if (exchange.header('mcp-session-id') !== undefined) {
      throw new DownstreamError('BAD_REQUEST', 'this session is initialized already; start a new one without its id');
    }
    const params = readParams(message.params);
    const protocolVersion = negotiate(params.protocolVersion);
    const id = this.sessions.newId();
    // Registered before the first byte that reveals its id (D-2).
    this.sessions.add({
      id,
      hash: sha256Hex(id),
      caller: this.access.callerOf(principal, exchange.req.headers),
      protocolVersion,
      clientInfo: params.clientInfo,
      clientCapabilities: params.capabilities,
    });
    const result = { protocolVersion, capabilities: CAPABILITIES, serverInfo: CLIENT_INFO };
    const body = responseFrame(message.id, 'result', Buffer.from(JSON.stringify(result)));
    exchange.json(200, [body], { 'mcp-session-id': id });
    this.runner.count(ENDPOINT, 'initialize', 'ok');
  }

  private delete(exchange: EdgeExchange, principal: Principal | undefined): void {
    checkVersionHeader(exchange);
    this.sessions.remove(this.sessionOf(exchange, principal));
    exchange.empty(200);
  }

  private sessionOf(exchange: EdgeExchange, principal: Principal | undefined): DownstreamSession {
    const id = exchange.header('mcp-session-id');
    if (id === undefined) {
      throw new DownstreamError('SESSION_REQUIRED', 'Mcp-Session-Id is missing; start a session with initialize');
    }
    return this.sessions.get(id, principal);
  }
}

interface InitializeParams {
  readonly protocolVersion: string;
  readonly clientInfo: Readonly<Record<string, unknown>>;
  readonly capabilities: Readonly<Record<string, unknown>>;
}

function readParams(json: Buffer | undefined): InitializeParams {
  const params = record(json === undefined ? undefined : (JSON.parse(json.toString('utf8')) as unknown));
  const { protocolVersion } = params;
  if (typeof protocolVersion !== 'string') {
    throw new DownstreamError('INVALID_PARAMS', 'params.protocolVersion must be a string');
  }
  return { protocolVersion, clientInfo: record(params.clientInfo), capabilities: record(params.capabilities) };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
