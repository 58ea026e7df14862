import { type ServerResponse } from 'node:http';
import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { type CatalogueChange, CatalogueService, type ServerChange } from '../../catalogue/index.js';
import { SETTINGS } from '../../config/config.module.js';
import { type Settings } from '../../config/settings.js';
import { DownstreamError } from '../downstream.errors.js';
import { StreamOpener } from '../edge/stream-opener.js';
import { type SseConnection } from '../stream/sse-connection.js';
import { namedEvent } from '../stream/sse-event.js';

/** Dashboards, not clients: enough for every screen of a large house. */
const MAX_STREAMS = 200;
const RETRY_MS = 1_000;

/**
 * The streams of `GET /events` (SPEC N-7): every change of the catalogue, in the order in which it was committed here.
 * They carry no ids and replay nothing: who was away reads the lists again.
 */
@Injectable()
export class ChangeStreams implements OnModuleInit, OnApplicationShutdown {
  private readonly connections = new Set<SseConnection>();
  private subscriptions: (() => void)[] = [];
  /** Ends when everything so far has been sent: names are looked up, and that must not change the order. */
  private sent: Promise<void> = Promise.resolve();

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly catalogue: CatalogueService,
    private readonly opener: StreamOpener,
  ) {}

  onModuleInit(): void {
    const { changes, servers } = this.catalogue;
    this.subscriptions = [
      changes.subscribe((change) => this.queue(() => this.tellOfGateway(change))),
      servers.changes.subscribe((change) => this.queue(async () => this.tellOfServer(change))),
    ];
  }

  onApplicationShutdown(): void {
    for (const unsubscribe of this.subscriptions) unsubscribe();
    this.interrupt();
  }

  /** @throws DownstreamError SESSION_LIMIT */
  open(res: ServerResponse, requestId: string): void {
    if (this.connections.size >= MAX_STREAMS) {
      throw new DownstreamError('SESSION_LIMIT', `${MAX_STREAMS} streams of /events are open`, {
        retryAfterMs: 10_000,
      });
    }
    const connection = this.opener.connect(res, requestId);
    this.connections.add(connection);
    connection.onClose(() => this.connections.delete(connection));
    connection.write(namedEvent('ready', { replica: this.settings.REPLICA_ID }));
  }

  /** Every stream ends with a hint to come back: they would never end by themselves. */
  interrupt(): void {
    for (const connection of this.connections) connection.end(RETRY_MS);
    this.connections.clear();
  }

  private queue(tell: () => Promise<void>): void {
    if (this.connections.size > 0) this.sent = this.sent.then(tell);
  }

  private async tellOfGateway({ gatewayId: id, kinds }: CatalogueChange): Promise<void> {
    const gateway = await this.nameOf(id);
    this.send('catalogue.changed', { gateway: { id, ...gateway.name }, kinds, removed: gateway.removed });
  }

  private tellOfServer({ serverId: id, kinds, gone }: ServerChange): void {
    this.send('server.changed', { server: { id }, kinds, gone });
  }

  /** Where the database cannot be asked, the change is told without a name. */
  private async nameOf(id: string): Promise<{ readonly name?: { name: string }; readonly removed: boolean }> {
    try {
      const gateway = await this.catalogue.findGateway(id);
      return gateway ? { name: { name: gateway.name }, removed: false } : { removed: true };
    } catch {
      return { removed: false };
    }
  }

  private send(name: string, data: unknown): void {
    const event = namedEvent(name, data);
    for (const connection of this.connections) connection.write(event);
  }
}
