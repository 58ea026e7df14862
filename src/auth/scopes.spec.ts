import { describe, expect, it } from '@jest/globals';
import { type Principal } from '../common/principal.js';
import { requireScope, type Scope, SCOPES } from './scopes.js';

const withScopes = (...scopes: string[]): Principal => ({ subject: 'alice', scopes });

describe('requireScope (S-2)', () => {
  const enough: Record<Scope, readonly Scope[]> = {
    'mcp:use': ['mcp:use', 'admin'],
    'gateways:read': ['gateways:read', 'gateways:write', 'admin'],
    'gateways:write': ['gateways:write', 'admin'],
    admin: ['admin'],
  };
  const cases = SCOPES.flatMap((needed) => SCOPES.map((held) => ({ needed, held, ok: enough[needed].includes(held) })));

  it.each(cases)('$held for a route that needs $needed: $ok', ({ needed, held, ok }) => {
    const ask = () => requireScope(withScopes(held), needed, 'jwt');
    if (ok) expect(ask).not.toThrow();
    else expect(ask).toThrow(`this needs a token with the scope ${needed}`);
  });

  it('refuses a token without scopes and words that only look like one', () => {
    expect(() => requireScope(withScopes(), 'mcp:use', 'jwt')).toThrow('mcp:use');
    expect(() => requireScope(withScopes('Admin', 'admin:read', '*', 'mcp:*'), 'mcp:use', 'jwt')).toThrow('mcp:use');
  });

  it('asks for a token, not for a scope, where there is no principal', () => {
    expect(() => requireScope(undefined, 'admin', 'jwt')).toThrow(expect.objectContaining({ code: 'UNAUTHORIZED' }));
  });

  it('S-1: allows everything in mode none', () => {
    for (const scope of SCOPES) expect(() => requireScope(undefined, scope, 'none')).not.toThrow();
  });
});
