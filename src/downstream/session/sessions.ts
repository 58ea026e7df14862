import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import {
  CAPABILITY_KINDS,
  type CatalogueChange,
  CatalogueService,
  KIND_PROTOCOL,
  type ServerChange,
} from '../../catalogue/index.js';
import { notificationFrame, type RpcMessage } from '../../common/jsonrpc.js';
import { SETTINGS } from '../../config/config.module.js';
import { type Settings } from '../../config/settings.js';
import { Metrics } from '../../metrics/metrics.js';
import { ExecutionService } from '../../execution/index.js';
import { type McpSession, type RequestExtras } from './mcp-session.js';
import { SessionRegistry } from './session-registry.js';

/** When clients should come back after their streams were ended by us. */
const RETRY_MS = 1_000;

/** The downstream sessions of this replica (SPEC D-2, D-5, D-10). */
@Injectable()
export class Sessions extends SessionRegistry<McpSession> implements OnModuleInit, OnApplicationShutdown {
  /** No new request is taken any more. */
  draining = false;
  private subscriptions: (() => void)[] = [];

  constructor(
    @Inject(SETTINGS) settings: Settings,
    execution: ExecutionService,
    private readonly catalogue: CatalogueService,
    private readonly metrics: Metrics,
  ) {
    super({
      onEnded: ({ hash }) => execution.endSession(hash),
      ttlMs: settings.SESSION_TTL_SECONDS,
      maxPerUser: settings.SESSION_MAX_PER_USER,
      maxTotal: settings.SESSION_MAX_TOTAL,
    });
  }

  onModuleInit(): void {
    const read = () => [{ value: this.size }];
    this.metrics.observeGauge('mcpgateway_downstream_sessions', 'Sessions of clients', [], read);
    const { changes, servers } = this.catalogue;
    this.subscriptions = [
      changes.subscribe((change) => this.tellOf(change)),
      servers.changes.subscribe((change) => this.tellOfServer(change)),
    ];
  }

  onApplicationShutdown(): void {
    for (const unsubscribe of this.subscriptions) unsubscribe();
    this.close();
  }

  /**
   * Hands a message of the client to its session, which answers on the standing stream (SPEC D-5): in order, each once.
   *
   * @throws DownstreamError SESSION_NOT_FOUND
   */
  broadcast(session: McpSession, message: RpcMessage, extras: RequestExtras): void {
    session.receive(message, extras);
  }

  /** Event streams end with a hint to come back, each when no request of its session runs any more; sessions go on. */
  releaseStreams(): void {
    this.draining = true;
    for (const session of this) session.release(RETRY_MS);
  }

  /** They end now. */
  interruptStreams(): void {
    for (const session of this) session.interruptStreams(RETRY_MS);
  }

  /** Just the sessions that see the gateway (SPEC N-7). Those of virtual servers hear of it by the next one. */
  private tellOf({ gatewayId, kinds }: CatalogueChange): void {
    const frames = framesFor(kinds);
    for (const session of this) {
      const { gatewayId: only, serverId } = session.view;
      if (serverId !== undefined || (only !== undefined && only !== gatewayId)) continue;
      for (const frame of frames) session.notify(frame);
    }
  }

  /** The sessions of a virtual server; they end with it. */
  private tellOfServer({ serverId, kinds, gone }: ServerChange): void {
    const frames = framesFor(kinds);
    for (const session of [...this]) {
      if (session.view.serverId !== serverId) continue;
      if (gone) this.remove(session, 'the virtual server was removed or disabled');
      else for (const frame of frames) session.notify(frame);
    }
  }
}

/** Resources and their templates share one notification. */
function framesFor(kinds: CatalogueChange['kinds']): Buffer[] {
  const capabilities = new Set(
    CAPABILITY_KINDS.filter((kind) => kinds.includes(kind)).map((kind) => KIND_PROTOCOL[kind].capability),
  );
  return [...capabilities].map((name) => notificationFrame(`notifications/${name}/list_changed`));
}
