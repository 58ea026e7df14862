import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { AccessService } from './access.service.js';
import { AuthGuard } from './auth.guard.js';
import { IDENTITY_EXTRACTOR, subjectOf } from './identity.js';
import { TokenVerifier } from './token-verifier.js';

/** Token → principal, scopes, and the guard before every route (SPEC S-1, S-2, P-1 to P-3). */
@Module({
  providers: [
    { provide: TokenVerifier, inject: [SETTINGS], useFactory: tokenVerifierFrom },
    { provide: IDENTITY_EXTRACTOR, useValue: subjectOf },
    AccessService,
    { provide: APP_GUARD, useClass: AuthGuard },
  ],
  exports: [TokenVerifier, IDENTITY_EXTRACTOR, AccessService],
})
export class AuthModule {}

function tokenVerifierFrom(settings: Settings): TokenVerifier {
  return new TokenVerifier({
    mode: settings.AUTH_MODE,
    secret: settings.JWT_SECRET,
    jwksUrl: settings.JWKS_URL,
    issuer: settings.JWT_ISSUER,
    audience: settings.JWT_AUDIENCE,
  });
}
