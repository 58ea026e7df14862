import { describe, expect, it } from '@jest/globals';
import { type IncomingHttpHeaders } from 'node:http';
import { loadSettings } from '../../config/settings.js';
import { DownstreamError } from '../downstream.errors.js';
import { OriginPolicy } from './origin-policy.js';

const JWT = { AUTH_MODE: 'jwt', JWT_SECRET: 'a shared secret of more than 32 characters' };

function verdict(env: Record<string, string>, headers: IncomingHttpHeaders): string {
  const policy = new OriginPolicy(loadSettings({ ...JWT, ...env }));
  try {
    policy.check(headers);
    return 'ok';
  } catch (error) {
    if (error instanceof DownstreamError) return error.code;
    throw error;
  }
}

describe('on a loopback address (S-7, DNS rebinding)', () => {
  it.each(['127.0.0.1:4444', 'localhost:4444', 'LOCALHOST', '127.0.0.1', '[::1]:4444', '[::1]', '127.1.2.3:1'])(
    'Host %s is ours',
    (host) => {
      expect(verdict({}, { host })).toBe('ok');
    },
  );

  it.each([
    'evil.example',
    'evil.example:4444',
    'localhost.evil.example',
    '127.0.0.1.evil.example:4444',
    'localhost:4444@evil.example',
    'evil.example/localhost',
    '192.168.1.5:4444',
    '0.0.0.0:4444',
    'localhost.',
    '[::2]',
    '',
  ])('Host %j is not', (host) => {
    expect(verdict({}, { host })).toBe('HOST_NOT_ALLOWED');
  });

  it('neither is none at all (HTTP/1.0)', () => {
    expect(verdict({}, {})).toBe('HOST_NOT_ALLOWED');
  });

  it.each(['gw.example', 'gw.example:8443', 'GW.example'])('ALLOWED_HOSTS=%s lets that name in', (allowed) => {
    const env = { ALLOWED_HOSTS: `other.example,${allowed}` };
    expect(verdict(env, { host: 'gw.example:8443' })).toBe('ok');
    expect(verdict(env, { host: 'localhost:4444' })).toBe('ok');
    expect(verdict(env, { host: 'evil.example:8443' })).toBe('HOST_NOT_ALLOWED');
  });

  it.each(['fd00::1', '[fd00::1]', '[fd00::1]:4444'])('ALLOWED_HOSTS=%s lets that address in', (allowed) => {
    expect(verdict({ ALLOWED_HOSTS: allowed }, { host: '[fd00::1]:4444' })).toBe('ok');
  });

  it.each([
    ['http://localhost:4444', 'localhost:4444'],
    ['http://127.0.0.1:4444', '127.0.0.1:4444'],
    ['http://[::1]:4444', '[::1]:4444'],
    ['http://localhost', 'localhost'],
  ])('D-1: a page of our own, Origin %s on Host %s, may ask', (origin, host) => {
    expect(verdict({}, { origin, host })).toBe('ok');
  });

  it.each([
    'null',
    '',
    'http://evil.example',
    'http://localhost:3000', // another program's page on this machine
    'http://localhost:4444.evil.example',
    'http://evil.example/localhost:4444',
    'localhost:4444',
    '*',
    'file://',
    'http://localhost:4444, http://evil.example',
  ])('D-1: Origin %j may not', (origin) => {
    expect(verdict({}, { origin, host: 'localhost:4444' })).toBe('ORIGIN_NOT_ALLOWED');
  });

  it('S-7: a rebound name is refused although Origin and Host agree', () => {
    const rebound = { origin: 'http://evil.example:4444', host: 'evil.example:4444' };
    expect(verdict({}, rebound)).toBe('HOST_NOT_ALLOWED');
  });
});

describe('on a public address (D-1, S-7)', () => {
  const open = { HOST: '0.0.0.0' };

  it('any Host will do as long as ALLOWED_HOSTS is empty, and only those afterwards', () => {
    expect(verdict(open, { host: 'gw.example' })).toBe('ok');
    expect(verdict(open, {})).toBe('ok');
    const env = { ...open, ALLOWED_HOSTS: 'gw.example' };
    expect(verdict(env, { host: 'gw.example:443' })).toBe('ok');
    expect(verdict(env, { host: 'evil.example' })).toBe('HOST_NOT_ALLOWED');
    expect(verdict(env, {})).toBe('HOST_NOT_ALLOWED');
  });

  it('who sends no Origin is no page', () => {
    expect(verdict(open, { host: 'gw.example' })).toBe('ok');
  });

  it('an Origin that equals the Host proves nothing', () => {
    expect(verdict(open, { host: 'evil.example', origin: 'http://evil.example' })).toBe('ORIGIN_NOT_ALLOWED');
  });

  it('takes exactly the ALLOWED_ORIGINS, however they are spelled', () => {
    const env = { ...open, ALLOWED_ORIGINS: 'https://App.example/, http://dev.example:3000' };
    const of = (origin: string): string => verdict(env, { host: 'gw.example', origin });
    expect([of('https://app.example'), of('HTTPS://APP.example'), of('http://dev.example:3000')]).toEqual([
      'ok',
      'ok',
      'ok',
    ]);
    for (const origin of ['http://app.example', 'https://app.example:444', 'https://x.app.example', 'null']) {
      expect([origin, of(origin)]).toEqual([origin, 'ORIGIN_NOT_ALLOWED']);
    }
  });
});
