import { expect } from '@jest/globals';
import { CodedError } from '../../src/common/errors.js';
import { TEST_TLS } from '../support/mcp-tls.js';
import { type Bench, callTool, type ContractCase, failureOf, textOf } from './bench.js';

async function connectFailure(bench: Bench, url = bench.subject.urlOf(bench.server)): Promise<unknown> {
  return failureOf(bench.connect({}, { url }, { transportTimeoutMs: 400, connectTimeoutMs: 400 }));
}

/** A registered server that cannot be reached says why (G-2). */
const connectingCases: readonly ContractCase[] = [
  {
    title: 'refused: nobody listens there',
    run: async (bench) => {
      await bench.server.stop();

      expect(await connectFailure(bench)).toMatchObject({
        code: 'UPSTREAM_UNAVAILABLE',
        reason: 'refused',
        execution: 'none',
      });
    },
  },
  {
    title: 'dns: the name does not exist',
    run: async (bench) => {
      const error = await connectFailure(bench, 'http://no-such-host.invalid/mcp');

      expect(error).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', reason: 'dns', execution: 'none' });
    },
  },
  {
    title: 'not-mcp: a web page',
    run: async (bench) => {
      bench.server.faults.answer = 'html';

      expect(await connectFailure(bench)).toMatchObject({ code: 'UPSTREAM_NOT_MCP', reason: 'not-mcp', status: 200 });
    },
  },
  ...[404, 405].map((status) => ({
    title: `not-mcp: HTTP ${status}, which a fallback may want to know (G-3)`,
    run: async (bench: Bench) => {
      bench.server.faults.answer = status;

      expect(await connectFailure(bench)).toMatchObject({ code: 'UPSTREAM_NOT_MCP', reason: 'not-mcp', status });
    },
  })),
  ...[401, 403].map((status) => ({
    title: `unauthorized: HTTP ${status}`,
    run: async (bench: Bench) => {
      bench.server.faults.answer = status;

      expect(await connectFailure(bench)).toMatchObject({
        code: 'UPSTREAM_UNAUTHORIZED',
        reason: 'unauthorized',
        status,
      });
    },
  })),
  {
    title: 'timeout: the server accepts and never answers',
    run: async (bench) => {
      bench.server.faults.stall = 'all';

      expect(await connectFailure(bench)).toMatchObject({ code: 'UPSTREAM_TIMEOUT', reason: 'timeout' });
      await bench.server.waitFor(({ openPosts, getStreams }) => openPosts === 0 && getStreams === 0);
    },
  },
  {
    title: 'timeout: it answers everything but initialize',
    run: async (bench) => {
      bench.server.faults.stall = 'initialize';

      expect(await connectFailure(bench)).toMatchObject({ code: 'UPSTREAM_TIMEOUT', reason: 'timeout' });
    },
  },
  {
    title: 'tls: an unknown authority; with the target’s own CA and server name it works (S-4)',
    run: async (bench) => {
      const url = bench.subject.urlOf(await bench.startServer({ tls: TEST_TLS }));
      const { ca, serverName } = TEST_TLS;

      expect(await connectFailure(bench, url)).toMatchObject({
        code: 'UPSTREAM_UNAVAILABLE',
        reason: 'tls',
        execution: 'none',
      });
      const session = await bench.connect({}, { url, tls: { ca, serverName } });
      expect(textOf(await callTool(session, 'echo', { text: 'secret' }))).toBe('secret');
    },
  },
  {
    title: 'credentials that cannot be had: nothing is sent',
    run: async (bench) => {
      bench.credentials = () => Promise.reject(new Error('token endpoint is down'));

      expect(await failureOf(bench.connect())).toMatchObject({ execution: 'none' });
      expect(bench.server.stats.requests).toEqual({});
    },
  },
];

const losingCases: readonly ContractCase[] = [
  ...([404, 400] as const).map((status) => ({
    title: `a session that the server forgot: lost, and surely not executed (P-9; HTTP ${status})`,
    run: async (bench: Bench) => {
      const session = await bench.connect();
      bench.server.faults.unknownSession = status;
      bench.server.dropSessions();

      const errors = await Promise.all([1, 2, 3].map(() => failureOf(callTool(session, 'counter', { callId: 'c' }))));

      for (const error of errors) expect(error).toMatchObject({ code: 'UPSTREAM_SESSION_LOST', execution: 'none' });
      expect(session.lost).toMatchObject({ code: 'UPSTREAM_SESSION_LOST' });
      expect(bench.server.executionsOf('c')).toBe(0);
      const later = await failureOf(callTool(session, 'counter'));
      expect(later).toMatchObject({ code: 'UPSTREAM_SESSION_LOST', execution: 'none' });
    },
  })),
  {
    title: 'a restart of the server: the call in flight may have run, the next surely has not, a new session works',
    run: async (bench) => {
      const { server } = bench;
      const session = await bench.connect();
      const call = failureOf(callTool(session, 'gate'));
      await server.waitFor(({ atGate }) => atGate === 1);

      await server.restart();

      expect(await call).toMatchObject({ code: 'UPSTREAM_INTERRUPTED', execution: 'unknown' });
      expect((await call).options.retryable ?? (await call).row.retryable).toBe(false);
      const next = await failureOf(callTool(session, 'counter', { callId: 'c' }));
      expect(next).toMatchObject({ code: 'UPSTREAM_SESSION_LOST', execution: 'none' });
      expect(session.lost).toBeDefined();
      expect(server.executionsOf('c')).toBe(0);
      expect(server.stats.initialize).toBe(1); // nobody reconnected behind our back
      const anew = await bench.connect();
      expect(textOf(await callTool(anew, 'counter'))).toBe('1');
    },
  },
  {
    title: 'streams that break during a call: the call may have run',
    run: async (bench) => {
      const session = await bench.connect();
      const call = failureOf(callTool(session, 'gate'));
      await bench.server.waitFor(({ atGate }) => atGate === 1);

      bench.server.cutStreams();

      expect(await call).toMatchObject({ code: 'UPSTREAM_INTERRUPTED', execution: 'unknown' });
    },
  },
  {
    title: 'credentials that are refused later on: reported, not executed (P-9)',
    run: async (bench) => {
      bench.credentials = { authorization: 'Bearer old' };
      const session = await bench.connect();
      bench.server.faults.authorization = 'Bearer new';

      const error = await failureOf(callTool(session, 'counter', { callId: 'c' }));

      expect(error).toMatchObject({ code: 'UPSTREAM_UNAUTHORIZED', execution: 'none', status: 401 });
      expect(bench.server.executionsOf('c')).toBe(0);
    },
  },
  {
    title: 'HTTP 500 is a failure of this one request',
    run: async (bench) => {
      const session = await bench.connect();
      bench.server.faults.answer = 500;

      expect(await failureOf(callTool(session, 'echo', { text: 'x' }))).toMatchObject({ status: 500 });
      bench.server.faults.answer = undefined;
      expect(session.lost).toBeUndefined();
      expect(textOf(await callTool(session, 'echo', { text: 'again' }))).toBe('again');
    },
  },
  {
    title: 'a notification that is never taken ends by time-out',
    run: async (bench) => {
      const session = await bench.connect({}, {}, { transportTimeoutMs: 300 });
      bench.server.faults.stall = 'notifications/roots/list_changed';

      const error = await failureOf(session.notify('notifications/roots/list_changed'));

      expect(error).toMatchObject({ code: 'UPSTREAM_TIMEOUT', reason: 'timeout' });
      await bench.server.waitFor(({ openPosts }) => openPosts === 0);
    },
  },
];

/** A source of credentials that fails is told as what it is; the session has nothing to do with it (P-8). */
const credentialCases: readonly ContractCase[] = [
  ...(['throws', 'rejects'] as const).map((how) => ({
    title: `a source of credentials that ${how}: not sent, and the session stays (P-8)`,
    run: async (bench: Bench) => {
      const session = await bench.connect();
      const failing = new Error('secret of the token endpoint');
      bench.credentials = () => {
        if (how === 'throws') throw failing;
        return Promise.reject(failing);
      };

      const refused = [
        await failureOf(callTool(session, 'counter', { callId: 'c' })),
        await failureOf(session.notify('notifications/roots/list_changed')),
        await failureOf(bench.connect()),
      ];
      for (const error of refused) {
        expect(error).toMatchObject({ code: 'UPSTREAM_UNAUTHORIZED', reason: 'unauthorized', execution: 'none' });
        expect(error.sessionSound).toBe(true);
        expect(error.message).toContain('bench');
        expect(error.message).not.toContain('secret');
      }
      bench.credentials = {};
      expect(session.lost).toBeUndefined();
      expect(textOf(await callTool(session, 'echo', { text: 'again' }))).toBe('again');
      expect(bench.server.executionsOf('c')).toBe(0);
    },
  })),
  {
    title: 'a coded error of the source reaches the caller as it is (P-8)',
    run: async (bench) => {
      const session = await bench.connect();
      const coded = new CodedError('INTERNAL', 'auth of gateway bench cannot be decrypted');
      bench.credentials = () => Promise.reject(coded);

      await expect(callTool(session, 'echo', { text: 'x' })).rejects.toBe(coded);
      await expect(session.notify('notifications/roots/list_changed')).rejects.toBe(coded);
      await expect(bench.connect()).rejects.toBe(coded);
      bench.credentials = {};
      expect(session.lost).toBeUndefined();
      expect(textOf(await callTool(session, 'echo', { text: 'again' }))).toBe('again');
    },
  },
];

export const failureCases: readonly ContractCase[] = [...connectingCases, ...losingCases, ...credentialCases];
