import { describe, expect, it } from '@jest/globals';
import { type IncomingHttpHeaders } from 'node:http';
import { type Principal, sha256Hex } from '../common/principal.js';
import { IDENTITY_HEADERS } from '../config/schema.js';
import { identityHash, type IdentitySource, subjectOf } from './identity.js';

const alice: Principal = { subject: 'alice', tenant: 't1', issuer: 'https://idp', scopes: [] };
const unknowing = () => undefined;

function hashOf(source: Partial<IdentitySource> = {}): string {
  return identityHash({
    headers: {},
    headerNames: IDENTITY_HEADERS,
    extract: subjectOf,
    onExtractorError: (error) => {
      throw error;
    },
    ...source,
  });
}

const ofHeaders = (headers: IncomingHttpHeaders) => hashOf({ headers });

describe('P-2 (1) anonymous', () => {
  it('is who brings neither principal nor identity header', () => {
    expect(hashOf()).toBe('anonymous');
    expect(ofHeaders({ accept: 'application/json', 'user-agent': 'x', host: 'h', cookie: '' })).toBe('anonymous');
  });

  it('stays who only claims a session: x-mcp-session-id from outside is not looked at', () => {
    expect(ofHeaders({ 'x-mcp-session-id': 'abc' })).toBe('anonymous');
    expect(ofHeaders({ 'mcp-session-id': 'abc' })).toBe('anonymous');
  });

  it('comes before the extractor', () => {
    expect(hashOf({ extract: () => 'somebody' })).toBe('anonymous');
  });
});

describe('P-2 (2) a verified session', () => {
  it('is its id alone: rotating tokens, extractor and headers change nothing', () => {
    const expected = sha256Hex('session-1');
    expect(hashOf({ sessionId: 'session-1' })).toBe(expected);
    expect(hashOf({ sessionId: 'session-1', principal: alice })).toBe(expected);
    expect(hashOf({ sessionId: 'session-1', principal: alice, extract: () => 'x' })).toBe(expected);
    expect(hashOf({ sessionId: 'session-1', headers: { authorization: 'Bearer 2', 'x-mcp-session-id': 'x' } })).toBe(
      expected,
    );
  });

  it('differs from session to session', () => {
    expect(hashOf({ sessionId: 'session-1' })).not.toBe(hashOf({ sessionId: 'session-2' }));
  });
});

describe('P-2 (3), P-3 the extractor', () => {
  it('two rotating tokens of one user are one identity; another user never is', () => {
    const first = hashOf({ principal: alice, headers: { authorization: 'Bearer 1', cookie: 'a=1' } });
    const second = hashOf({ principal: { ...alice, scopes: ['admin'] }, headers: { authorization: 'Bearer 2' } });
    expect(first).toBe(second);
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(hashOf({ principal: { ...alice, subject: 'bob' }, headers: { authorization: 'Bearer 1' } })).not.toBe(first);
  });

  it('one name in two tenants or from two issuers is two users', () => {
    const users: Principal[] = [
      alice,
      { ...alice, tenant: 't2' },
      { ...alice, issuer: 'https://other' },
      { ...alice, tenant: undefined },
      { ...alice, issuer: undefined },
      { subject: 'alice', scopes: [] },
      { subject: 'alice', tenant: 'null', issuer: 'null', scopes: [] },
      { subject: 'alice', tenant: 'https://idp', issuer: 't1', scopes: [] },
      { subject: 'alice","t1', tenant: 'https://idp', scopes: [] },
    ];
    expect(new Set(users.map((principal) => hashOf({ principal }))).size).toBe(users.length);
  });

  it('may go by a header, and then tells users apart together with tenant and issuer', () => {
    const extract: IdentitySource['extract'] = ({ headers }) => headers['x-user-id']?.toString();
    const headers = { 'x-user-id': 'u1', authorization: 'Bearer 1' };
    const one = hashOf({ headers, extract });
    expect(hashOf({ headers: { ...headers, authorization: 'Bearer 2' }, extract })).toBe(one);
    expect(hashOf({ headers, extract, principal: alice })).not.toBe(one);
  });

  it('tells users apart whom one token names by a header, call after call', () => {
    const extract: IdentitySource['extract'] = ({ headers }) => headers['x-user-id']?.toString();
    const hashes = ['u1', 'u2', 'u1', 'u2'].map((user) =>
      hashOf({ headers: { 'x-user-id': user }, extract, principal: alice }),
    );
    expect(hashes).toEqual([hashes[0], hashes[1], hashes[0], hashes[1]]);
    expect(hashes[0]).not.toBe(hashes[1]);
  });

  it.each([undefined, '', 0, {}, null])('falls through to the headers when it answers %p', (answer) => {
    const extract = (() => answer) as IdentitySource['extract'];
    const headers = { authorization: 'Bearer 1' };
    expect(hashOf({ headers, extract })).toBe(ofHeaders(headers));
  });

  it('falls through when it throws, and says so', () => {
    const seen: unknown[] = [];
    const broken = new Error('broken');
    const extract = () => {
      throw broken;
    };
    const headers = { authorization: 'Bearer 1' };
    const hash = hashOf({ headers, extract, onExtractorError: (error) => seen.push(error) });
    expect(hash).toBe(ofHeaders(headers));
    expect(seen).toEqual([broken]);
  });

  it('never makes one identity of all users when there is nothing else to go by', () => {
    const [one, two] = [alice, { ...alice, subject: 'bob' }].map((principal) =>
      hashOf({ principal, extract: unknowing }),
    );
    expect(one).not.toBe(two);
    expect(hashOf({ principal: { ...alice, tenant: 't2' }, extract: unknowing })).not.toBe(one);
  });
});

describe('P-2 (4) identity parts', () => {
  it('is the SHA-256 of the JSON array of name:value, sorted', () => {
    const headers = { 'x-user-id': 'u', authorization: 'Bearer 1', cookie: 'a=1', accept: '*/*' };
    expect(ofHeaders(headers)).toBe(sha256Hex('["authorization:Bearer 1","cookie:a=1","x-user-id:u"]'));
  });

  it('does not depend on the order of headers or of the setting', () => {
    const headers = { cookie: 'a=1', authorization: 'Bearer 1' };
    const headerNames = [...IDENTITY_HEADERS].reverse();
    expect(hashOf({ headers, headerNames })).toBe(ofHeaders({ authorization: 'Bearer 1', cookie: 'a=1' }));
  });

  it.each(['authorization', 'x-tenant-id', 'x-user-id', 'x-api-key', 'cookie'])('%s tells callers apart', (name) => {
    const hashes = [{ [name]: '1' }, { [name]: '2' }, { [name]: '1', other: 'x' }].map(ofHeaders);
    expect(hashes[0]).not.toBe(hashes[1]);
    expect(hashes[0]).toBe(hashes[2]);
    expect(hashes).not.toContain('anonymous');
  });

  it('a value under another name is another identity', () => {
    const names = ['authorization', 'x-tenant-id', 'x-user-id', 'x-api-key', 'cookie'];
    expect(new Set(names.map((name) => ofHeaders({ [name]: 'v' }))).size).toBe(names.length);
  });

  it('delimiters in values cannot make two callers one', () => {
    const callers: IncomingHttpHeaders[] = [
      { 'x-api-key': 'a', 'x-user-id': 'b' },
      { 'x-api-key': 'a","x-user-id:b' },
      { 'x-api-key': 'a,x-user-id:b' },
      { 'x-api-key': 'a\nx-user-id:b' },
      { 'x-api-key': 'a', 'x-tenant-id': 'b' },
      { 'x-api-key': 'a:b' },
      { 'x-api-key': ['a', 'b'] },
      { 'x-api-key': 'a, b' },
    ];
    expect(new Set(callers.map(ofHeaders)).size).toBe(callers.length);
  });

  it('cannot be reached through a crafted user, nor a session id', () => {
    const extract = () => 'authorization:Bearer 1';
    const crafted = { ...alice, tenant: undefined, issuer: undefined };
    expect(hashOf({ principal: crafted, extract })).not.toBe(ofHeaders({ authorization: 'Bearer 1' }));
    expect(sha256Hex('session-1')).not.toBe(ofHeaders({ cookie: 'session-1' }));
  });

  it('uses the headers of the setting only', () => {
    const headers = { authorization: 'Bearer 1', 'x-team': 'red' };
    const headerNames = ['x-team'];
    expect(hashOf({ headers, headerNames })).toBe(sha256Hex('["x-team:red"]'));
    expect(hashOf({ headers: { authorization: 'Bearer 1' }, headerNames })).toBe('anonymous');
  });
});
