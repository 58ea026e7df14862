import { type Principal } from '../common/principal.js';
import { AuthError } from './auth.errors.js';

export type AuthMode = 'none' | 'jwt';

/** Every scope there is (SPEC S-2). */
export const SCOPES = ['mcp:use', 'gateways:read', 'gateways:write', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** A broader scope counts for a narrower one: what each may be covered by, itself included. */
const COVERED_BY: Readonly<Record<Scope, readonly Scope[]>> = {
  'mcp:use': ['mcp:use', 'admin'],
  'gateways:read': ['gateways:read', 'gateways:write', 'admin'],
  'gateways:write': ['gateways:write', 'admin'],
  admin: ['admin'],
};

export function isScope(text: string): text is Scope {
  return SCOPES.some((scope) => scope === text);
}

export function hasScope(principal: Principal, scope: Scope): boolean {
  return COVERED_BY[scope].some((one) => principal.scopes.includes(one));
}

/**
 * Passes, or throws: `UNAUTHORIZED` without a principal, `FORBIDDEN` (it names the scope) without the scope. In mode
 * `none` everything is allowed (SPEC S-1, S-2).
 */
export function requireScope(principal: Principal | undefined, scope: Scope, mode: AuthMode): void {
  if (mode === 'none') return;
  if (principal === undefined) throw AuthError.noToken(`send Authorization: Bearer <token> with the scope ${scope}`);
  if (!hasScope(principal, scope)) throw AuthError.missingScope(scope);
}
