import { getEventListeners } from 'node:events';
import { expect } from '@jest/globals';
import { type UpstreamReply } from '../../src/upstream/upstream.port.js';
import { callTool, type ContractCase, params, parsed, textOf } from './bench.js';

/** Numbers and spellings that do not survive `JSON.parse` and `JSON.stringify`. */
const DELICATE = '{"big":12345678901234567890,"float":1.0,"exp":1e2,"escaped":"\\u00e9"}';

export const requestCases: readonly ContractCase[] = [
  {
    title: 'shakes hands, declares itself and reports the server',
    run: async (bench) => {
      const { server, subject } = bench;
      const session = await bench.connect({ clientCapabilities: { sampling: {} } });
      await server.waitFor(({ initialized }) => initialized === 1);

      expect(session.transport).toBe(subject.transport);
      expect(session.server.protocolVersion).toBe('2025-11-25');
      expect(session.server.serverInfo).toEqual({ name: 'test-server', version: '1.2.3' });
      expect(session.server.capabilities).toMatchObject({ tools: { listChanged: true }, logging: {} });
      expect(session.sessionId).toBe(subject.deletes ? server.sessions()[0] : undefined);
      expect(session.lost).toBeUndefined();
      expect(JSON.parse(server.lastBody('initialize') ?? '')).toMatchObject({
        params: {
          protocolVersion: '2025-11-25',
          capabilities: { sampling: {} },
          clientInfo: { name: 'contract', version: '9.9.9' },
        },
      });
    },
  },
  {
    title: 'answers requests, the ones without params too',
    run: async (bench) => {
      const session = await bench.connect();

      expect(textOf(await callTool(session, 'echo', { text: 'grüße' }))).toBe('grüße');
      expect(await session.request('ping', undefined)).toEqual({ kind: 'result', raw: Buffer.from('{}') });
      expect(bench.server.stats).toMatchObject({ initialize: 1, openSessions: 1 });
    },
  },
  {
    title: '50 concurrent requests share the session, and each caller gets its own answer (P-4)',
    run: async (bench) => {
      const session = await bench.connect();
      const texts = Array.from({ length: 50 }, (_, n) => `caller ${n}`);
      const ids: number[] = [];

      const answers = texts.map((text) => callTool(session, 'gate', { text }, { onId: (id) => ids.push(id) }));
      await bench.server.waitFor(({ atGate }) => atGate === 50);
      bench.server.openGate();

      expect((await Promise.all(answers)).map(textOf)).toEqual(texts);
      expect(new Set(ids).size).toBe(50);
      expect(bench.server.stats).toMatchObject({ initialize: 1, executions: 50, maxOpenSessions: 1 });
    },
  },
  {
    title: 'arguments reach the server as the bytes that came (D-7)',
    run: async (bench) => {
      const session = await bench.connect();
      const raw = `{"name":"echo","arguments":{"text":"x","delicate":${DELICATE}},"_meta":{"a.b/c":[1.0]}}`;

      await session.request('tools/call', Buffer.from(raw));

      expect(bench.server.lastBody('tools/call')).toContain(`"params":${raw}`);
    },
  },
  {
    title: 'results come back as the bytes that the server sent (D-7)',
    run: async (bench) => {
      const session = await bench.connect();
      const json = `{"content":[{"type":"novel","x":1.0}],"structuredContent":${DELICATE},"_meta":{"a.b/c":null}}`;
      bench.server.faults.rawResult = { tool: 'delicate', json };

      const reply = await callTool(session, 'delicate');

      expect(reply.raw.toString('utf8')).toBe(json);
    },
  },
  {
    title: 'an answer of 3 MB arrives whole',
    run: async (bench) => {
      const session = await bench.connect();

      expect(textOf(await callTool(session, 'big', { bytes: 3_000_000 }))).toHaveLength(3_000_000);
    },
  },
  {
    title: 'a JSON-RPC error of the server is a reply, and the session lives on (P-8)',
    run: async (bench) => {
      const session = await bench.connect();

      const reply = await session.request('no/such_method', params({}));

      expect(reply.kind).toBe('error');
      expect(parsed(reply.raw)).toEqual({ code: -32601, message: 'Method not found' });
      expect(session.lost).toBeUndefined();
      expect(textOf(await callTool(session, 'echo', { text: 'still here' }))).toBe('still here');
    },
  },
  {
    title: 'a tool that fails, and wrong arguments, are results with the words of the server',
    run: async (bench) => {
      const session = await bench.connect();
      const verdict = ({ kind, raw }: UpstreamReply): unknown => ({ kind, ...(parsed(raw) as object) });

      expect(verdict(await callTool(session, 'fail', { message: 'no paper' }))).toMatchObject({
        kind: 'result',
        isError: true,
        content: [{ type: 'text', text: 'no paper' }],
      });
      const wrong = await callTool(session, 'add', { a: 1, b: 'two' });
      expect(verdict(wrong)).toMatchObject({ kind: 'result', isError: true });
      expect(textOf(wrong)).toContain('Invalid arguments for tool add');
    },
  },
  {
    title: 'notifications of ours reach the server',
    run: async (bench) => {
      const session = await bench.connect();

      await session.notify('notifications/roots/list_changed', params({ from: 'us' }));

      expect(JSON.parse(bench.server.lastBody('notifications/roots/list_changed') ?? '')).toEqual({
        jsonrpc: '2.0',
        method: 'notifications/roots/list_changed',
        params: { from: 'us' },
      });
    },
  },
  {
    title: 'rotated credentials are used from the next request on, and the listed headers go up (P-16)',
    run: async (bench) => {
      bench.credentials = { authorization: 'Bearer first' };
      const session = await bench.connect();
      const seen = async (): Promise<unknown> => JSON.parse(textOf(await callTool(session, 'whoami')));

      expect(await seen()).toMatchObject({ authorization: 'Bearer first' });
      bench.credentials = async () => ({ authorization: 'Bearer second', 'x-team': 'blue' });
      expect(await seen()).toMatchObject({ authorization: 'Bearer second', headers: { 'x-team': 'blue' } });
      expect(bench.server.stats.initialize).toBe(1);
    },
  },
  {
    title: 'a signal that many requests share collects no listeners',
    run: async (bench) => {
      const session = await bench.connect();
      const { signal } = new AbortController();

      for (let n = 0; n < 20; n += 1) await callTool(session, 'echo', { text: String(n) }, { signal });
      await session.notify('notifications/roots/list_changed', undefined, signal);

      expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    },
  },
];
