import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { SecretBox } from '../common/secret-box.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { Locks } from '../redis/locks.js';
import { SessionPoolModule, SessionPoolService } from '../session-pool/index.js';
import { CatalogueService } from './catalogue.service.js';
import { SessionEvictor } from './session-evictor.js';
import { UpstreamAccess } from './upstream-access.js';

/** Needs the global `DatabaseModule`, and a global provider of `SecretBox`. */
@Module({
  imports: [SessionPoolModule],
  providers: [
    { provide: SessionEvictor, useExisting: SessionPoolService },
    { provide: UpstreamAccess, useExisting: SessionPoolService },
    {
      provide: CatalogueService,
      inject: [DataSource, SecretBox, SessionEvictor, UpstreamAccess, Locks, SETTINGS],
      useFactory: (
        database: DataSource,
        secretBox: SecretBox,
        sessions: SessionEvictor,
        upstream: UpstreamAccess,
        locks: Locks,
        settings: Settings,
      ) =>
        new CatalogueService({
          ...{ database, secretBox, sessions, upstream, locks },
          separator: settings.GATEWAY_TOOL_NAME_SEPARATOR,
          refresh: {
            pageTimeoutMs: settings.MCP_SESSION_POOL_TRANSPORT_TIMEOUT,
            totalTimeoutMs: settings.CALL_TIMEOUT_SECONDS,
          },
        }),
    },
  ],
  exports: [CatalogueService, UpstreamAccess],
})
export class CatalogueModule {}
