import { expect } from '@jest/globals';
import { UpstreamError } from '../../src/upstream/upstream.errors.js';
import { callTool, type ContractCase, failureOf, textOf } from './bench.js';

export const cancellingCases: readonly ContractCase[] = [
  {
    title: 'a cancelled call rejects at once, is cancelled at the server and leaves no stream open (D-8)',
    run: async (bench) => {
      const { server } = bench;
      const session = await bench.connect();
      const cancelling = new AbortController();
      let id = 0;
      const call = callTool(session, 'gate', {}, { signal: cancelling.signal, onId: (own) => (id = own) });
      await server.waitFor(({ atGate }) => atGate === 1);

      cancelling.abort();

      expect(await failureOf(call)).toMatchObject({ code: 'CANCELLED', execution: 'unknown' });
      await server.waitFor(({ cancelled, openPosts }) => cancelled === 1 && openPosts === 0);
      expect(JSON.parse(server.lastBody('notifications/cancelled') ?? '')).toMatchObject({ params: { requestId: id } });
      expect(textOf(await callTool(session, 'echo', { text: 'next' }))).toBe('next');
      expect(server.stats).toMatchObject({ initialize: 1, atGate: 0 });
    },
  },
  {
    title: 'ten cancelled calls leave nothing behind, one by one or all at once (PROTOCOL 3.4)',
    run: async (bench) => {
      const { server } = bench;
      const session = await bench.connect();
      const cancelling = Array.from({ length: 10 }, () => new AbortController());
      const calls = cancelling.map(({ signal }) => failureOf(callTool(session, 'gate', {}, { signal })));
      await server.waitFor(({ atGate }) => atGate === 10);

      for (const one of cancelling) one.abort();

      await Promise.all(calls);
      await server.waitFor(({ cancelled, openPosts, atGate }) => cancelled === 10 && openPosts === 0 && atGate === 0);
      expect(session.lost).toBeUndefined();
    },
  },
  {
    title: 'a signal whose reason is an UpstreamError rejects with that very error',
    run: async (bench) => {
      const session = await bench.connect();
      const reason = new UpstreamError('UPSTREAM_TIMEOUT', 'bench: silent for too long', { execution: 'unknown' });
      const cancelling = new AbortController();
      const call = callTool(session, 'gate', {}, { signal: cancelling.signal });
      await bench.server.waitFor(({ atGate }) => atGate === 1);

      cancelling.abort(reason);

      expect(await failureOf(call)).toBe(reason);
      await bench.server.waitFor(({ cancelled }) => cancelled === 1);
      expect(session.lost).toBeUndefined();
    },
  },
  {
    title: 'with a signal that is aborted already nothing is sent',
    run: async (bench) => {
      const session = await bench.connect();

      const error = await failureOf(callTool(session, 'counter', {}, { signal: AbortSignal.abort() }));

      expect(error).toMatchObject({ code: 'CANCELLED', execution: 'none' });
      expect(textOf(await callTool(session, 'echo', { text: 'next' }))).toBe('next');
      expect(bench.server.stats.calls).toEqual({ echo: 1 });
      expect(bench.server.stats.requests['notifications/cancelled']).toBeUndefined();
    },
  },
  {
    title: 'connecting can be given up, and leaves no socket',
    run: async (bench) => {
      const { server } = bench;
      server.faults.stall = 'initialize';
      const cancelling = new AbortController();
      const connector = bench.connector();
      const connecting = connector.connect(bench.target(), { signal: cancelling.signal });
      await server.waitFor(({ stalled }) => stalled === 1);

      cancelling.abort();

      expect(await failureOf(connecting)).toMatchObject({ code: 'CANCELLED' });
      await server.waitFor(({ openPosts, getStreams }) => openPosts === 0 && getStreams === 0);
      expect(server.stats.requests['notifications/cancelled']).toBeUndefined();
    },
  },
];
