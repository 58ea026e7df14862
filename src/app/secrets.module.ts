import { Global, Module } from '@nestjs/common';
import { SecretBox } from '../common/secret-box.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { Database } from '../database/database.js';
import { loadOrCreateEncryptionKey } from '../database/embedded/encryption-key.js';

/** The box for secrets at rest (SPEC S-4): the key from the environment, or, embedded, one made once in `DATA_DIR`. */
@Global()
@Module({
  providers: [
    {
      provide: SecretBox,
      // The database first: it holds the lock on DATA_DIR.
      inject: [SETTINGS, Database],
      useFactory: async (settings: Settings) =>
        new SecretBox([settings.ENCRYPTION_KEY ?? (await loadOrCreateEncryptionKey(settings.DATA_DIR))]),
    },
  ],
  exports: [SecretBox],
})
export class SecretsModule {}
