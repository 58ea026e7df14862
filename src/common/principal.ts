import { createHash } from 'node:crypto';

/** Who a verified token speaks for (SPEC S-1). Never holds the token. */
export interface Principal {
  /** `sub`, else `email`, else `user_id` of the token (P-1). */
  readonly subject: string;
  readonly tenant?: string;
  readonly issuer?: string;
  readonly scopes: readonly string[];
}

/**
 * Who calls, worked out once at the edge; only this travels inwards and between replicas (SPEC §1).
 */
export interface Caller {
  readonly principal?: Principal;
  /** `anonymous`, or the SHA-256 hex of the subject (P-1). */
  readonly userIdentity: string;
  /** See P-2. */
  readonly identityHash: string;
  /** Headers that gateways may ask to be passed on, by lower-case name (P-16, S-4). */
  readonly passthrough: Readonly<Record<string, string>>;
}

export const ANONYMOUS = 'anonymous';

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** SPEC P-1: the first element of every pool key. */
export function userIdentityOf(principal: Principal | undefined): string {
  return principal ? sha256Hex(principal.subject) : ANONYMOUS;
}

/** SPEC P-3: two principals are the same owner only if issuer, tenant and subject agree. */
export function sameOwner(a: Principal | undefined, b: Principal | undefined): boolean {
  return a?.subject === b?.subject && a?.tenant === b?.tenant && a?.issuer === b?.issuer;
}
