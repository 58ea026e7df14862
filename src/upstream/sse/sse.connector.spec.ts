import { type ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { deferred } from '../../../test/support/deferred.js';
import { RawSseServer } from '../../../test/support/mcp-raw-sse.js';
import { until } from '../../../test/support/until.js';
import { UpstreamError } from '../upstream.errors.js';
import { type HeaderMap, type Target, type UpstreamSession } from '../upstream.port.js';
import { SseConnector } from './sse.connector.js';

/** What only a server without an SDK does; what every transport promises is in test/contract. */
describe('SseConnector', () => {
  let server: RawSseServer;
  let connector: SseConnector;
  let headers: () => HeaderMap | Promise<HeaderMap>;

  beforeEach(async () => {
    server = await RawSseServer.start();
    connector = new SseConnector({
      connectTimeoutMs: 300,
      maxResponseBytes: 16 * 1024 * 1024,
      transportTimeoutMs: 300,
      cleanupTimeoutMs: 300,
      clientInfo: { name: 'spec', version: '1' },
    });
    headers = () => ({ authorization: 'Bearer secret' });
  });
  afterEach(async () => {
    await connector.close();
    await server.close();
  });

  function target(url = server.url): Target {
    return {
      gatewayId: 'g',
      gatewayName: 'raw',
      url,
      transport: 'sse',
      credentials: { headers: () => headers() },
    };
  }

  async function failureOf(work: Promise<unknown>): Promise<UpstreamError> {
    const outcome = await work.catch((error: unknown) => error);
    if (outcome instanceof UpstreamError) return outcome;
    throw new Error(`no UpstreamError: ${String(outcome)}`);
  }

  function posted(method: string): Promise<unknown> {
    return until(() => server.posts.some((post) => post.method === method), { what: `POST of ${method}` });
  }

  function lost(session: UpstreamSession): Promise<UpstreamError> {
    return until(() => session.lost, { what: 'the session is lost' });
  }

  describe('connecting', () => {
    it('an event stream without an endpoint event is not MCP (G-2)', async () => {
      server.onGet = (_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n');
        return true;
      };

      const error = await failureOf(connector.connect(target()));

      expect(error).toMatchObject({ code: 'UPSTREAM_NOT_MCP', reason: 'not-mcp' });
      expect(error.message).toContain('no endpoint event in 300 ms');
    });

    it('an endpoint at another origin is refused, and nothing is posted there (S-5)', async () => {
      const other = await RawSseServer.start();
      server.endpoint = `${other.origin}/post`;

      const error = await failureOf(connector.connect(target()));

      expect(error).toMatchObject({ code: 'UPSTREAM_NOT_MCP', reason: 'not-mcp' });
      expect(other.posts).toEqual([]);
      await other.close();
    });

    it('a redirect to another origin is not followed, so credentials do not go there (S-5)', async () => {
      const other = await RawSseServer.start();
      server.onGet = (_req, res) => {
        res.writeHead(307, { location: other.url }).end();
        return true;
      };

      const error = await failureOf(connector.connect(target()));

      expect(error).toMatchObject({ code: 'UPSTREAM_NOT_MCP', reason: 'not-mcp' });
      expect(other.gets).toEqual([]);
      await other.close();
    });

    it('a redirect within the origin is followed, with credentials', async () => {
      server.onGet = (req, res) => {
        if (req.url !== '/old') return false;
        res.writeHead(307, { location: '/sse' }).end();
        return true;
      };

      await connector.connect(target(`${server.origin}/old`));

      expect(server.gets.map((req) => [req.url, req.headers.authorization])).toEqual([
        ['/old', 'Bearer secret'],
        ['/sse', 'Bearer secret'],
      ]);
    });

    it.each([
      ['2024-11-05', undefined],
      ['2023-01-01', 'UPSTREAM_NOT_MCP'],
    ])('a server that answers with protocol %s: %s', async (version, code) => {
      server.protocolVersion = version;

      const outcome: unknown = await connector.connect(target()).catch((error: unknown) => error);

      if (code) expect(outcome).toMatchObject({ code, reason: 'not-mcp' });
      else expect(outcome).toMatchObject({ server: { protocolVersion: version }, lost: undefined });
    });
  });

  describe('the end of the stream', () => {
    it('is the end of the session: no reconnection, which would be a new session that nobody initialized', async () => {
      // The eventsource package would reconnect after this many milliseconds.
      server.preamble = 'retry: 1\n\n';
      const session = await connector.connect(target());
      server.preamble = '';

      server.endStreams();

      expect(await lost(session)).toMatchObject({ code: 'UPSTREAM_SESSION_LOST', execution: 'none' });
      // A whole handshake and a round trip later the millisecond has long passed.
      await connector.connect(target());
      expect(server.gets).toHaveLength(2);
      expect(server.posts.filter(({ method }) => method === 'initialize')).toHaveLength(2);
    });

    it('tells calls apart: sent ones may have run, one that waits for its credentials surely has not', async () => {
      const session = await connector.connect(target());
      const sent = failureOf(session.request('tools/call', undefined));
      await posted('tools/call');
      const gate = deferred<HeaderMap>();
      headers = () => gate.promise;
      const unsent = failureOf(session.request('tools/list', undefined));

      server.endStreams();

      expect(await sent).toMatchObject({ code: 'UPSTREAM_INTERRUPTED', execution: 'unknown' });
      expect(await unsent).toMatchObject({ code: 'UPSTREAM_SESSION_LOST', execution: 'none' });
      gate.resolve({});
      headers = () => ({});
      await connector.connect(target()); // a round trip later
      expect(server.posts.map(({ method }) => method)).not.toContain('tools/list');
    });

    it('is also a message that is not JSON-RPC: an answer may be among what we cannot read', async () => {
      const session = await connector.connect(target());
      const call = failureOf(session.request('tools/call', undefined));
      await posted('tools/call');

      server.say({ jsonrpc: '1.0', hello: 'there' });

      expect(await call).toMatchObject({ code: 'UPSTREAM_INTERRUPTED', execution: 'unknown' });
      expect(session.lost).toBeDefined();
    });
  });

  describe('POSTs', () => {
    it('one that hangs (as some servers treat an unknown session) ends the session by time-out', async () => {
      const session = await connector.connect(target());
      server.onPost = ({ method }) => method === 'tools/call';

      const error = await failureOf(session.request('tools/call', undefined));

      expect(error).toMatchObject({ code: 'UPSTREAM_TIMEOUT', reason: 'timeout', execution: 'unknown' });
      expect(session.lost).toMatchObject({ code: 'UPSTREAM_SESSION_LOST', execution: 'none' });
    });

    it('one that hangs after its answer has come harms nobody', async () => {
      const session = await connector.connect(target());
      const held: ServerResponse[] = [];
      server.onPost = ({ id, method }, res) => {
        if (method !== 'slow/post') return false;
        held.push(res);
        server.say({ jsonrpc: '2.0', id, result: { early: true } });
        return true;
      };

      const reply = await session.request('slow/post', undefined);

      expect(reply.raw.toString()).toBe('{"early":true}');
      await until(() => held[0]?.destroyed, { what: 'the POST is given up' });
      expect(session.lost).toBeUndefined();
    });

    it('the refusal of one ends the session, but the others in flight keep their own answers', async () => {
      const session = await connector.connect(target());
      const held: ServerResponse[] = [];
      server.onPost = (_message, res) => held.push(res) > 0;
      const calls = [1, 2, 3].map((n) => failureOf(session.request(`call/${n}`, undefined)));
      await until(() => held.length === 3, { what: 'three POSTs' });

      held[0]?.writeHead(404).end('Session not found');
      await lost(session);
      held[1]?.writeHead(404).end('Session not found');
      held[2]?.writeHead(202).end();

      const outcomes = (await Promise.all(calls)).map(({ code, execution }) => [code, execution]);
      expect(outcomes.sort()).toEqual([
        ['UPSTREAM_INTERRUPTED', 'unknown'],
        ['UPSTREAM_SESSION_LOST', 'none'],
        ['UPSTREAM_SESSION_LOST', 'none'],
      ]);
    });

    it('a cancellation waits until the request itself has been taken, lest it overtake it', async () => {
      const session = await connector.connect(target());
      const held: ServerResponse[] = [];
      server.onPost = ({ method }, res) => method === 'tools/call' && held.push(res) > 0;
      const cancelling = new AbortController();
      const call = failureOf(session.request('tools/call', undefined, { signal: cancelling.signal }));
      await posted('tools/call');

      cancelling.abort();

      expect(await call).toMatchObject({ code: 'CANCELLED', execution: 'unknown' });
      await session.notify('notifications/marker');
      expect(server.posts.at(-1)?.method).toBe('notifications/marker');
      held[0]?.writeHead(202).end();
      await posted('notifications/cancelled');
    });

    it('a call that is cancelled before it was sent never is, and does not harm the session', async () => {
      const session = await connector.connect(target());
      const gate = deferred<HeaderMap>();
      headers = () => gate.promise;
      const cancelling = new AbortController();
      const call = failureOf(session.request('tools/call', undefined, { signal: cancelling.signal }));

      cancelling.abort(new UpstreamError('UPSTREAM_TIMEOUT', 'the caller’s own limit', { execution: 'none' }));
      gate.resolve({});
      headers = () => ({});
      await call;
      await session.notify('notifications/marker');

      expect(server.posts.map(({ method }) => method)).toEqual([
        'initialize',
        'notifications/initialized',
        'notifications/marker',
      ]);
      expect(session.lost).toBeUndefined();
    });
  });
});
