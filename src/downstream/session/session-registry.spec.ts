import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ANONYMOUS, type Principal, userIdentityOf } from '../../common/principal.js';
import { DownstreamError } from '../downstream.errors.js';
import { type RegisteredSession, SessionRegistry, type SessionRegistryOptions } from './session-registry.js';

const LIMITS = { ttlMs: 60_000, maxPerUser: 3, maxTotal: 5 };
const ANN: Principal = { subject: 'ann', tenant: 't1', issuer: 'https://idp', scopes: [] };
const BOB: Principal = { ...ANN, subject: 'bob' };

function codeOf(action: () => unknown): unknown {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (error instanceof DownstreamError) return error.code;
    throw error;
  }
}

describe('session registry', () => {
  let registry: SessionRegistry<RegisteredSession>;
  const create = (options: Partial<SessionRegistryOptions<RegisteredSession>> = {}): typeof registry =>
    (registry = new SessionRegistry({ ...LIMITS, ...options }));
  const open = (principal?: Principal, id = registry.newId()) =>
    registry.add({
      id,
      endpoint: '/mcp',
      busy: false,
      lastUsed: 0,
      trim: () => undefined,
      end: () => undefined,
      caller: { principal, userIdentity: userIdentityOf(principal), identityHash: 'h', passthrough: {} },
    });
  const openMany = (count: number, principal?: Principal) => Array.from({ length: count }, () => open(principal));

  beforeEach(() => {
    jest.useFakeTimers();
    create();
  });
  afterEach(() => {
    registry.close();
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  it('P-5: makes ids of 192 bits in the allowed characters, never the same', () => {
    const ids = Array.from({ length: 10_000 }, () => registry.newId());
    expect(new Set(ids).size).toBe(10_000);
    expect(ids.filter((id) => !/^[A-Za-z0-9_-]{32}$/.test(id))).toEqual([]);
  });

  it('S-3: gives a session to its owner, with another token and other scopes too', () => {
    const session = open(ANN);
    expect(registry.get(session.id, { ...ANN, scopes: ['admin'] })).toBe(session);
  });

  it.each<[string, Principal | undefined]>([
    ['another subject', BOB],
    ['the same subject of another tenant', { ...ANN, tenant: 't2' }],
    ['the same subject of another issuer', { ...ANN, issuer: 'https://evil' }],
    ['the same subject without tenant', { subject: 'ann', issuer: 'https://idp', scopes: [] }],
    ['nobody', undefined],
  ])('S-3: for %s it does not exist, word for word', (_who, principal) => {
    const { id } = open(ANN);
    const messageOf = (wanted: string): string => {
      try {
        registry.get(wanted, principal);
      } catch (error) {
        return JSON.stringify([(error as Error).message, (error as DownstreamError).data]);
      }
      return 'found';
    };
    expect(messageOf(id)).toBe(messageOf('no-such-session'));
    expect(codeOf(() => registry.get(id, principal))).toBe('SESSION_NOT_FOUND');
  });

  it('S-3: a session that nobody owns is not for somebody', () => {
    const { id } = open();
    expect(codeOf(() => registry.get(id, ANN))).toBe('SESSION_NOT_FOUND');
    expect(codeOf(() => registry.get(id, undefined))).toBe('ok');
  });

  it("S-3: a stranger's try does not keep the session alive", () => {
    const { id } = open(ANN);
    jest.advanceTimersByTime(50_000);
    codeOf(() => registry.get(id, BOB));
    jest.advanceTimersByTime(10_001);
    expect(codeOf(() => registry.get(id, ANN))).toBe('SESSION_NOT_FOUND');
  });

  it('D-10: expires when it was not used for its time, which each use starts anew', () => {
    const { id } = open(ANN);
    for (let use = 0; use < 5; use++) {
      jest.advanceTimersByTime(60_000);
      expect(registry.get(id, ANN).id).toBe(id);
    }
    jest.advanceTimersByTime(60_001);
    expect(codeOf(() => registry.get(id, ANN))).toBe('SESSION_NOT_FOUND');
    expect(codeOf(() => registry.get(id, ANN))).toBe('SESSION_NOT_FOUND'); // asking does not revive it
  });

  it('D-10: the sweep forgets expired sessions by itself, and rests when there are none', () => {
    openMany(2, ANN);
    const kept = open(BOB);
    jest.advanceTimersByTime(45_000);
    registry.get(kept.id, BOB);
    jest.advanceTimersByTime(45_000);
    expect(registry.size).toBe(1);
    jest.advanceTimersByTime(60_000);
    expect([registry.size, jest.getTimerCount()]).toEqual([0, 0]);
    open(ANN);
    expect(jest.getTimerCount()).toBe(1);
  });

  it('D-10: at most so many sessions a user, with a Retry-After; others are not held up', () => {
    openMany(3, ANN);
    expect(codeOf(() => open(ANN))).toBe('SESSION_LIMIT');
    let data: unknown;
    try {
      open(ANN);
    } catch (error) {
      ({ data } = error as DownstreamError);
    }
    expect(data).toMatchObject({ code: 'SESSION_LIMIT', retryAfterMs: 10_000 });
    expect(codeOf(() => open(BOB))).toBe('ok');
    expect(registry.size).toBe(4);
  });

  it('D-10: at most so many sessions a replica; who has no name is held only by this', () => {
    openMany(5);
    expect(codeOf(() => open())).toBe('SESSION_LIMIT');
    expect(codeOf(() => open(ANN))).toBe('SESSION_LIMIT');
    expect(userIdentityOf(undefined)).toBe(ANONYMOUS);
  });

  it('D-10: a removed session gives its place back once, even if it is removed twice', () => {
    const [first] = openMany(3, ANN);
    registry.remove(first!);
    registry.remove(first!);
    expect(codeOf(() => registry.get(first!.id, ANN))).toBe('SESSION_NOT_FOUND');
    expect(codeOf(() => open(ANN))).toBe('ok');
    expect(codeOf(() => open(ANN))).toBe('SESSION_LIMIT');
    expect(registry.size).toBe(3);
  });

  it('D-10: an expired session gives its place back with the next sweep', () => {
    openMany(3, ANN);
    jest.advanceTimersByTime(90_000);
    expect(codeOf(() => openMany(3, ANN))).toBe('ok');
  });

  it('ids that are names of Object members are just ids', () => {
    for (const id of ['__proto__', 'constructor', 'toString', '']) {
      expect(codeOf(() => registry.get(id, undefined))).toBe('SESSION_NOT_FOUND');
    }
  });

  it('close() forgets all and keeps no timer', () => {
    const { id } = open(ANN);
    registry.close();
    registry.close();
    expect([registry.size, jest.getTimerCount()]).toEqual([0, 0]);
    expect(codeOf(() => registry.get(id, ANN))).toBe('SESSION_NOT_FOUND');
  });

  it('goes by the clock that it is given', () => {
    let now = 0;
    create({ now: () => now });
    const { id } = open(ANN);
    now = 60_000;
    expect(codeOf(() => registry.get(id, ANN))).toBe('ok');
    now = 120_001;
    expect(codeOf(() => registry.get(id, ANN))).toBe('SESSION_NOT_FOUND');
  });
});
