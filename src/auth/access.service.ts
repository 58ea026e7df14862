import { type IncomingHttpHeaders } from 'node:http';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { type Caller, type Principal, userIdentityOf } from '../common/principal.js';
import { SETTINGS } from '../config/config.module.js';
import { type Settings } from '../config/settings.js';
import { IDENTITY_EXTRACTOR, type IdentityExtractor, identityHash } from './identity.js';
import { passthroughOf } from './passthrough.js';
import { requireScope, type Scope } from './scopes.js';
import { TokenVerifier } from './token-verifier.js';

/** The one access check: the lean edge and the guard of the REST routes both ask here. */
@Injectable()
export class AccessService {
  private readonly logger = new Logger(AccessService.name);
  private readonly headerNames: readonly string[];
  /** The verifier hands out one object for one token, so that a repeated call does not hash its subject again. */
  private readonly users = new WeakMap<Principal, string>();

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly verifier: TokenVerifier,
    @Inject(IDENTITY_EXTRACTOR) private readonly extract: IdentityExtractor,
  ) {
    this.headerNames = settings.MCP_SESSION_POOL_IDENTITY_HEADERS.map((name) => name.toLowerCase());
  }

  /**
   * Who sends this, if they may do what `scope` covers (SPEC S-1, S-2). Synchronous for a token that is remembered.
   *
   * @returns undefined in mode `none`
   * @throws AuthError, thrown or rejected; AuthUnavailableError rejected
   */
  admit(headers: IncomingHttpHeaders, scope: Scope): Principal | undefined | Promise<Principal | undefined> {
    const verified = this.verifier.verify(headers.authorization);
    if (verified instanceof Promise) return verified.then((principal) => this.allowed(principal, scope));
    return this.allowed(verified, scope);
  }

  /**
   * The caller as it travels inwards (SPEC P-1, P-2, P-3). Call it before the headers lose their credentials.
   *
   * @param principal what `admit` returned
   * @param verifiedSessionId the downstream session that was found *and* belongs to this principal (S-3)
   * @param passthrough names of the headers that gateways may ask for
   */
  callerOf(
    principal: Principal | undefined,
    headers: IncomingHttpHeaders,
    verifiedSessionId?: string,
    passthrough: readonly string[] = [],
  ): Caller {
    return {
      userIdentity: this.userIdentity(principal),
      identityHash: identityHash({
        principal,
        headers,
        sessionId: verifiedSessionId,
        headerNames: this.headerNames,
        extract: this.extract,
        onExtractorError: (error) => this.reportExtractor(error),
      }),
      passthrough: passthroughOf(headers, passthrough),
      // Last: a spread that comes first makes the whole literal a hundred times dearer, and this is done for each call.
      ...(principal === undefined ? {} : { principal }),
    };
  }

  private allowed(principal: Principal | undefined, scope: Scope): Principal | undefined {
    requireScope(principal, scope, this.settings.AUTH_MODE);
    return principal;
  }

  private userIdentity(principal: Principal | undefined): string {
    if (principal === undefined) return userIdentityOf(principal);
    const known = this.users.get(principal);
    if (known !== undefined) return known;

    const identity = userIdentityOf(principal);
    this.users.set(principal, identity);
    return identity;
  }

  /** Only the kind of error: its text may quote a header. */
  private reportExtractor(error: unknown): void {
    const kind = error instanceof Error ? error.name : typeof error;
    this.logger.debug(`identity extractor threw (${kind}); the identity headers decide`);
  }
}
