import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { SignJWT } from 'jose';
import { sha256Hex } from '../common/principal.js';
import { loadSettings } from '../config/settings.js';
import { AccessService } from './access.service.js';
import { type IdentityExtractor, subjectOf } from './identity.js';
import { TokenVerifier } from './token-verifier.js';

const SECRET = 'a shared secret of more than 32 characters';

function serviceWith(mode: 'none' | 'jwt', extract: IdentityExtractor = subjectOf, env: Record<string, string> = {}) {
  const settings = loadSettings({ AUTH_MODE: mode, JWT_SECRET: SECRET, ...env });
  return new AccessService(settings, new TokenVerifier({ mode, secret: SECRET }), extract);
}

async function bearer(scope: string, expires = '1h'): Promise<{ authorization: string }> {
  const token = new SignJWT({ sub: 'alice', scope }).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(expires);
  return { authorization: `Bearer ${await token.sign(Buffer.from(SECRET))}` };
}

describe('admit', () => {
  it('S-1: mode none admits everybody as nobody', () => {
    expect(serviceWith('none').admit({ authorization: 'Bearer x' }, 'admin')).toBeUndefined();
  });

  it('S-2: checks the scope, also of a token that is remembered, and then synchronously', async () => {
    const access = serviceWith('jwt');
    const headers = await bearer('gateways:read');
    const principal = await access.admit(headers, 'gateways:read');
    expect(principal).toMatchObject({ subject: 'alice' });
    expect(access.admit(headers, 'gateways:read')).toBe(principal);
    expect(() => access.admit(headers, 'gateways:write')).toThrow('scope gateways:write');
  });

  it('S-2: checks the scope of a token that is new', async () => {
    const refused = async () => serviceWith('jwt').admit(await bearer('gateways:read'), 'mcp:use');
    await expect(refused()).rejects.toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining('mcp:use') });
  });
});

describe('callerOf', () => {
  it('P-1, P-3: the user is the SHA-256 of the subject; two tokens of one user are one identity', async () => {
    const access = serviceWith('jwt');
    const [first, second] = await Promise.all([bearer('mcp:use', '1h'), bearer('mcp:use', '2h')]);
    const one = access.callerOf(await access.admit(first, 'mcp:use'), first);
    const two = access.callerOf(await access.admit(second, 'mcp:use'), second);
    expect(first).not.toEqual(second);
    expect(one.userIdentity).toBe(sha256Hex('alice'));
    expect(two).toEqual(one);
    expect(JSON.stringify(one)).not.toContain('Bearer');
  });

  it('P-2: anonymous, by session, by header', () => {
    const access = serviceWith('none');
    expect(access.callerOf(undefined, {})).toEqual({
      userIdentity: 'anonymous',
      identityHash: 'anonymous',
      passthrough: {},
    });
    expect(access.callerOf(undefined, {}, 's1').identityHash).toBe(sha256Hex('s1'));
    expect(access.callerOf(undefined, { 'x-api-key': 'k' }).identityHash).toBe(sha256Hex('["x-api-key:k"]'));
  });

  it('P-2: header names of the setting are taken in any case', () => {
    const access = serviceWith('none', subjectOf, { MCP_SESSION_POOL_IDENTITY_HEADERS: 'X-Team, X-MCP-Session-Id' });
    expect(access.callerOf(undefined, { 'x-team': 'red' }).identityHash).toBe(sha256Hex('["x-team:red"]'));
    expect(access.callerOf(undefined, { 'x-mcp-session-id': 's1' }).identityHash).toBe('anonymous');
  });

  it('P-2: a throwing extractor is logged at debug, without its text, and falls through', () => {
    const debug = jest.spyOn(Logger.prototype, 'debug').mockImplementation(() => undefined);
    const access = serviceWith('none', ({ headers }) => {
      throw new TypeError(`cannot read ${headers.authorization}`);
    });
    const caller = access.callerOf(undefined, { authorization: 'Bearer secret' });
    expect(caller.identityHash).toBe(sha256Hex('["authorization:Bearer secret"]'));
    expect(debug).toHaveBeenCalledTimes(1);
    expect(JSON.stringify(debug.mock.calls)).toMatch(/^(?!.*secret).*TypeError/);
    debug.mockRestore();
  });

  it('P-16: passes on the named headers, never the token or a session id', () => {
    const headers = {
      'x-trace': 't',
      authorization: 'Bearer 1',
      'mcp-session-id': 's',
      'x-list': ['a', 'b'],
      'x-other': 'o',
    };
    const names = ['X-Trace', 'Authorization', 'Mcp-Session-Id', 'x-list', 'x-absent', 'connection'];
    expect(serviceWith('none').callerOf(undefined, headers, undefined, names).passthrough).toEqual({
      'x-trace': 't',
      'x-list': 'a, b',
    });
  });
});
