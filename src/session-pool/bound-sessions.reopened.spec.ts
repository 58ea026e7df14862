import { describe, expect, it } from '@jest/globals';
import {
  always,
  call,
  type FakeSession,
  forever,
  hold,
  lost,
  makeWorld,
  never,
  serialOf,
  target,
  useOf,
} from '../../test/support/bound-world.js';
import { type UpstreamSession } from '../upstream/upstream.port.js';
import { type BoundOwner, type BoundUse } from './bound-owner.js';
import { type BoundSessions } from './bound-sessions.js';
import { TurnedAway } from './pool.errors.js';

describe('the owner hears that a bound session has ended (P-9, P-14)', () => {
  const gw = target('gw');

  function heard() {
    const ends: (number | 'for good')[] = [];
    const owner: BoundOwner = {
      clientCapabilities: {},
      opened: async () => undefined,
      stateLost: () => undefined,
      ended: (session) => void ends.push(session ? (session as FakeSession).serial : 'for good'),
    };
    return { ends, use: useOf('s', gw, owner) };
  }

  it('at once when it is known to be lost, and once, though nobody calls', async () => {
    const { bound, world } = makeWorld();
    const { ends, use } = heard();
    await call(bound, use);
    bound.lost(use.key);
    expect(ends).toEqual([]); // it is not
    (world.opened[0] as FakeSession).lost = lost();
    bound.lost(use.key);
    bound.lost(use.key);
    bound.reap();
    expect(ends).toEqual([1]);
    expect(await call(bound, use)).toBe(2);
    expect(ends).toEqual([1]);
  });

  it('when a call has found out', async () => {
    const { bound } = makeWorld();
    const { ends, use } = heard();
    const failing = bound.use(use, () => Promise.reject(lost()), forever, always);
    await expect(failing).rejects.toMatchObject({ code: 'UPSTREAM_SESSION_LOST' });
    expect(ends).toEqual([1]);
  });

  it('when its gateway changes, with or without a call in flight, or while it is being opened', async () => {
    const { bound } = makeWorld();
    const { ends, use } = heard();
    await call(bound, use);
    bound.evictGateway('gw');
    const busy = hold(bound, use);
    await busy.entered;
    bound.renewAll();
    expect(ends).toEqual([1, 2]);
    busy.finish();
    await busy.done;
    const opening = call(bound, use);
    bound.evictGateway('gw');
    await expect(opening).rejects.toBeInstanceOf(TurnedAway);
    expect(ends).toEqual([1, 2, 3]);
  });

  it.each([
    ['the downstream session', (bound: BoundSessions, use: BoundUse) => bound.end(use.sessionHash)],
    ['the pool', (bound: BoundSessions) => bound.releaseAll()],
  ])('that %s has ended is told as the end of all, once', async (_what, end) => {
    const { bound, world } = makeWorld();
    const { ends, use } = heard();
    const busy = hold(bound, use, always);
    await busy.entered;
    end(bound, use);
    expect(ends).toEqual(['for good']);
    (world.opened[0] as FakeSession).lost = lost();
    bound.lost(use.key);
    busy.fail(lost());
    await expect(busy.done).rejects.toMatchObject({ code: 'UPSTREAM_SESSION_LOST' });
    expect(ends).toEqual(['for good']);
  });
});

describe('a bound session that had to be opened anew (P-9)', () => {
  const gw = target('gw');

  function recorded() {
    const events: string[] = [];
    const owner: BoundOwner = {
      clientCapabilities: {},
      opened: async (session, again) =>
        void events.push(`${again ? 'again' : 'first'} ${(session as FakeSession).serial}`),
      stateLost: (gateway) => void events.push(`state of ${gateway} lost`),
    };
    return { owner, events };
  }

  it('tells its owner before the first call on each, and the client, once; no state is lost by a first opening', async () => {
    const { bound, world } = makeWorld();
    const { owner, events } = recorded();
    const use = useOf('s', gw, owner);
    await call(bound, use);
    await call(bound, use);
    expect(events).toEqual(['first 1']);
    events.length = 0;
    (world.opened[0] as FakeSession).lost = lost();
    const work = async (session: UpstreamSession): Promise<void> => void events.push(`work ${await serialOf(session)}`);
    await Promise.all([1, 2].map(() => bound.use(use, work, forever, never)));
    expect(events).toEqual(['again 2', 'state of name of gw lost', 'work 2', 'work 2']);
    expect(bound.counters).toMatchObject({ reopened: 1, stateLost: 1 });
    expect(world.opened[0]?.closed).toBe(1);
  });

  it('a server without sessions had no state to lose', async () => {
    const { bound, world } = makeWorld({ sessionId: '' });
    const { owner, events } = recorded();
    await call(bound, useOf('s', gw, owner));
    (world.opened[0] as FakeSession).lost = lost();
    await call(bound, useOf('s', gw, owner));
    expect(events).toEqual(['first 1', 'again 2']);
    expect(bound.counters).toMatchObject({ reopened: 1, stateLost: 0 });
  });

  it('over SSE the stream is the session, so its state is lost with it', async () => {
    const { bound, world } = makeWorld({ sessionId: '', transport: 'sse' });
    const { owner, events } = recorded();
    await call(bound, useOf('s', gw, owner));
    (world.opened[0] as FakeSession).lost = lost();
    await call(bound, useOf('s', gw, owner));
    expect(events).toEqual(['first 1', 'again 2', 'state of name of gw lost']);
  });

  it('an owner that fails is not the failure of the call', async () => {
    const { bound, world } = makeWorld();
    const opened = (): Promise<void> => Promise.reject(new Error('no'));
    const owner: BoundOwner = { clientCapabilities: {}, opened, stateLost: () => undefined };
    await call(bound, useOf('s', gw, owner));
    (world.opened[0] as FakeSession).lost = lost();
    expect(await call(bound, useOf('s', gw, owner))).toBe(2);
  });

  it('P-14: after an eviction, too: level and subscriptions were made on the session that is gone', async () => {
    const { bound } = makeWorld();
    const { owner, events } = recorded();
    await call(bound, useOf('s', gw, owner));
    bound.evictGateway('gw');
    await call(bound, useOf('s', target('gw', 'http://moved/mcp'), owner));
    expect(events).toEqual(['first 1', 'again 2', 'state of name of gw lost']);
  });

  it('P-10: work is told for how long nobody had used the session, and what it finds unsound is replaced', async () => {
    const { bound, world } = makeWorld();
    const seen: [serial: number, fresh: boolean, idleMs: number][] = [];
    const look = async (session: UpstreamSession, fresh: boolean, idleMs: number): Promise<void> => {
      seen.push([await serialOf(session), fresh, idleMs]);
      if (idleMs >= 700) throw lost();
    };
    const use = (): Promise<void> => bound.use(useOf('s', gw), look, forever, always);
    await use();
    await new Promise(setImmediate); // the opening has let go of it
    world.time = 699;
    await use();
    world.time += 700;
    await expect(use()).rejects.toMatchObject({ code: 'UPSTREAM_SESSION_LOST' });
    await use();
    expect(seen).toEqual([
      [1, true, 0],
      [1, false, 699],
      [1, false, 700],
      [2, true, 0],
    ]);
    expect(world.opened[0]?.closed).toBe(1);
  });

  it('P-10: while a call is in flight the session is not idle', async () => {
    const { bound, world } = makeWorld();
    const busy = hold(bound, useOf('s', gw));
    await busy.entered;
    await new Promise(setImmediate);
    world.time = 700;
    const idle = await bound.use(useOf('s', gw), async (_session, _fresh, idleMs) => idleMs, forever, never);
    expect(idle).toBe(0);
    busy.finish();
    await busy.done;
  });
});
