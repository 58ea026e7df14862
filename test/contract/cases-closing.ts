import { expect } from '@jest/globals';
import { type Ending } from '../../src/upstream/upstream.port.js';
import { type Bench, callTool, type ContractCase, failureOf } from './bench.js';

export const closingCases: readonly ContractCase[] = [
  {
    title: 'terminate ends the session at the server, once, and is remembered (P-11)',
    run: async (bench) => {
      const session = await bench.connect();

      const closing = session.close('terminate');

      expect(session.close('detach')).toBe(closing);
      await closing;
      await bench.server.waitFor(({ openSessions, getStreams }) => openSessions === 0 && getStreams === 0);
      expect(bench.server.stats.deletes).toBe(bench.subject.deletes ? 1 : 0);
      expect(session.close('terminate')).toBe(closing);
    },
  },
  {
    title: 'detach closes the streams and leaves the session, where it can outlive them (P-11)',
    run: async (bench) => {
      const { server, subject } = bench;
      const session = await bench.listening();

      await session.close('detach');

      await server.waitFor(({ getStreams }) => getStreams === 0);
      await server.waitFor(({ openSessions }) => openSessions === (subject.deletes ? 1 : 0));
      expect(server.stats.deletes).toBe(0);
    },
  },
  {
    title: 'close rejects what is in flight; a later request is refused and never sent',
    run: async (bench) => {
      const session = await bench.connect();
      const calls = [1, 2, 3].map(() => failureOf(callTool(session, 'gate')));
      await bench.server.waitFor(({ atGate }) => atGate === 3);

      await session.close('terminate');

      for (const error of await Promise.all(calls)) {
        expect(error).toMatchObject({ code: 'UPSTREAM_INTERRUPTED', execution: 'unknown' });
      }
      const later = await failureOf(callTool(session, 'echo', { text: 'too late' }));
      expect(later).toMatchObject({ code: 'UPSTREAM_SESSION_LOST', execution: 'none' });
      await failureOf(session.notify('notifications/roots/list_changed'));
      await bench.server.waitFor(({ openSessions, openPosts }) => openSessions === 0 && openPosts === 0);
      expect(bench.server.stats.calls).toEqual({ gate: 3 });
    },
  },
  {
    title: 'no socket is left when the connector has been closed',
    run: async (bench) => {
      const connector = bench.connector();
      const session = await connector.connect(bench.target(), { listen: true });
      const calls = Array.from({ length: 10 }, () => failureOf(callTool(session, 'gate')));
      await bench.server.waitFor(({ atGate, getStreams }) => atGate === 10 && getStreams === 1);

      await session.close('terminate');
      await connector.close();

      await Promise.all(calls);
      await bench.server.waitFor(({ sockets }) => sockets === 0);
    },
  },
  ...(['terminate', 'detach'] as const).map((ending: Ending) => ({
    title: `${ending} does not reject, nor take longer than the clean-up time-out, when the server hangs or has gone`,
    run: async (bench: Bench) => {
      const limits = { cleanupTimeoutMs: 300 };
      const hung = await bench.connect({}, {}, limits);
      const orphan = await bench.connect({}, {}, limits);
      bench.server.faults.stall = 'all';
      const before = performance.now();

      await hung.close(ending);
      await bench.server.stop();
      await orphan.close(ending);

      expect(performance.now() - before).toBeLessThan(2_000);
    },
  })),
];
