import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { CLIENT_INFO } from '../common/version.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { UpstreamConnector } from './upstream.connector.js';

@Module({
  providers: [
    {
      provide: UpstreamConnector,
      inject: [SETTINGS],
      useFactory: (settings: Settings) =>
        new UpstreamConnector({
          connectTimeoutMs: Math.min(
            settings.MCP_SESSION_POOL_TRANSPORT_TIMEOUT,
            settings.MCP_SESSION_POOL_CREATE_TIMEOUT,
          ),
          transportTimeoutMs: settings.MCP_SESSION_POOL_TRANSPORT_TIMEOUT,
          cleanupTimeoutMs: settings.MCP_SESSION_POOL_CLEANUP_TIMEOUT,
          maxResponseBytes: settings.MAX_UPSTREAM_RESPONSE_BYTES,
          clientInfo: CLIENT_INFO,
        }),
    },
  ],
  exports: [UpstreamConnector],
})
export class UpstreamModule implements OnApplicationShutdown {
  constructor(@Inject(UpstreamConnector) private readonly connector: UpstreamConnector) {}

  /** After every session has ended (that is `onModuleDestroy`). */
  async onApplicationShutdown(): Promise<void> {
    await this.connector.close();
  }
}
