import { type IncomingHttpHeaders } from 'node:http';
import { ANONYMOUS, type Principal, sha256Hex } from '../common/principal.js';

/** Injection token of the `IdentityExtractor` (SPEC P-3). */
export const IDENTITY_EXTRACTOR = Symbol('IDENTITY_EXTRACTOR');

/**
 * Names the user behind a request, whatever its token: two requests with the same answer, tenant and issuer share
 * pooled upstream sessions. Undefined or empty: it does not know, and the identity headers decide.
 */
export type IdentityExtractor = (input: { principal?: Principal; headers: IncomingHttpHeaders }) => string | undefined;

/** The default extractor. */
export const subjectOf: IdentityExtractor = ({ principal }) => principal?.subject;

export interface IdentitySource {
  readonly principal?: Principal;
  readonly headers: IncomingHttpHeaders;
  /** Of the downstream session that the edge has verified, never what a client claims. */
  readonly sessionId?: string;
  /** Lower-case names of the headers that tell users apart (MCP_SESSION_POOL_IDENTITY_HEADERS). */
  readonly headerNames: readonly string[];
  readonly extract: IdentityExtractor;
  readonly onExtractorError: (error: unknown) => void;
}

/** The session id is an identity part that only the edge sets; from outside it is dropped unread. */
const SET_BY_THE_EDGE = 'x-mcp-session-id';

/**
 * The third element of a pool key (SPEC P-2): `anonymous`, or a SHA-256 in hex.
 *
 * The texts that are hashed cannot be mistaken for one another: a session id has no bracket, and of the JSON arrays
 * only the one of header parts starts with an element that has a colon.
 */
export function identityHash(source: IdentitySource): string {
  const { principal, sessionId } = source;
  // A verified session is itself an identity part, so this does not contradict "anonymous" coming first in P-2.
  if (sessionId) return sha256Hex(sessionId);

  if (principal === undefined && identityParts(source).length === 0) return ANONYMOUS;

  const user = extracted(source);
  if (user !== undefined) return userHash(user, principal);

  const parts = identityParts(source);
  // Nothing but the principal to go by: an empty list would be one identity for everybody.
  if (principal !== undefined && parts.length === 0) return userHash(principal.subject, principal);
  return sha256Hex(JSON.stringify(parts));
}

/** The verifier hands out one object for one token, so that a repeated call does not hash the same user again. */
const known = new WeakMap<Principal, { readonly user: string; readonly hash: string }>();

function userHash(user: string, principal: Principal | undefined): string {
  const before = principal && known.get(principal);
  // An extractor may name another user by another header of the same token.
  if (before?.user === user) return before.hash;

  const hash = sha256Hex(JSON.stringify(['user', user, principal?.tenant, principal?.issuer]));
  if (principal) known.set(principal, { user, hash });
  return hash;
}

function identityParts({ headers, headerNames }: IdentitySource): string[] {
  return headerNames
    .filter((name) => name !== SET_BY_THE_EDGE)
    .flatMap((name) => [headers[name] ?? []].flat().map((value) => [name, value] as const))
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}:${value}`)
    .sort();
}

function extracted({ principal, headers, extract, onExtractorError }: IdentitySource): string | undefined {
  try {
    const user: unknown = extract({ principal, headers });
    return typeof user === 'string' && user !== '' ? user : undefined;
  } catch (error) {
    onExtractorError(error);
    return undefined;
  }
}
