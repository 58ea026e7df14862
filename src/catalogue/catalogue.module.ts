import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { SecretBox } from '../common/secret-box.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { SessionPoolModule, SessionPoolService } from '../session-pool/index.js';
import { CatalogueService } from './catalogue.service.js';
import { SessionEvictor } from './session-evictor.js';

/** Needs the global `DatabaseModule`, and a global provider of `SecretBox`. */
@Module({
  imports: [SessionPoolModule],
  providers: [
    { provide: SessionEvictor, useExisting: SessionPoolService },
    {
      provide: CatalogueService,
      inject: [DataSource, SecretBox, SessionEvictor, SETTINGS],
      useFactory: (database: DataSource, secretBox: SecretBox, sessions: SessionEvictor, settings: Settings) =>
        new CatalogueService({ database, secretBox, sessions, separator: settings.GATEWAY_TOOL_NAME_SEPARATOR }),
    },
  ],
  exports: [CatalogueService],
})
export class CatalogueModule {}
