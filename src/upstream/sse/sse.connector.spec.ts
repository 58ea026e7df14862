import { type ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { deferred } from '../../../test/support/deferred.js';
import { RawSseServer } from '../../../test/support/mcp-raw-sse.js';
import { until } from '../../../test/support/until.js';
import { UpstreamError } from '../upstream.errors.js';
import { type HeaderMap, type Target, type UpstreamMessage, type UpstreamSession } from '../upstream.port.js';
import { SseConnector } from './sse.connector.js';

const MAX_BYTES = 4_096;
/** More than one event may hold, as a JSON string. */
const HUGE = `"${'x'.repeat(2 * MAX_BYTES)}"`;

/** What only a server without an SDK does; what every transport promises is in test/contract. */
describe('SseConnector', () => {
  let server: RawSseServer;
  let connector: SseConnector;
  let headers: () => HeaderMap | Promise<HeaderMap>;

  beforeEach(async () => {
    server = await RawSseServer.start();
    connector = new SseConnector({
      connectTimeoutMs: 300,
      maxResponseBytes: MAX_BYTES,
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

    it.each([
      ['no URL', 'http://[', 'UPSTREAM_NOT_MCP'],
      ['a whole URL of the origin', undefined, undefined],
    ])('an endpoint that is %s: %s', async (_what, endpoint, code) => {
      server.endpoint = endpoint ?? `${server.origin}/post?sessionId=raw`;

      const outcome: unknown = await connector.connect(target()).catch((error: unknown) => error);

      if (code) expect(outcome).toMatchObject({ code, reason: 'not-mcp' });
      else expect(outcome).toMatchObject({ lost: undefined });
    });

    it('a stream that ends before its endpoint event is not MCP (G-2)', async () => {
      server.onGet = (_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' }).end(': bye\n\n');
        return true;
      };

      expect(await failureOf(connector.connect(target()))).toMatchObject({ code: 'UPSTREAM_NOT_MCP' });
    });

    it('redirects without end are not followed for ever', async () => {
      server.onGet = (_req, res) => {
        res.writeHead(302, { location: '/sse' }).end();
        return true;
      };

      expect(await failureOf(connector.connect(target()))).toMatchObject({ code: 'UPSTREAM_NOT_MCP', status: 302 });
      expect(server.gets).toHaveLength(6);
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
      // A browser's EventSource would reconnect after this many milliseconds.
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

  describe('what the server says', () => {
    it('arrives as the bytes that came: params, ids, results and errors (D-7)', async () => {
      const session = await connector.connect(target(), { clientCapabilities: { sampling: {} } });
      const heard: UpstreamMessage[] = [];
      session.onMessage((message) => heard.push(message));
      const params = '{"big":12345678901234567890,"one":1.0,"e":"\\u00e9"}';

      server.write(`data: {"jsonrpc":"2.0","id":9007199254740993,"method":"sampling/x","params":${params}}\n\n`);
      server.onPost = ({ id }) => {
        server.write(`data: {"jsonrpc":"2.0","error":{"code":-1.0e1},"id":${id}}\r\n\r\n`);
        return false;
      };
      const reply = await session.request('tools/call', undefined);

      expect({ kind: reply.kind, raw: reply.raw.toString() }).toEqual({ kind: 'error', raw: '{"code":-1.0e1}' });
      expect(heard.map(({ id, method, params: raw }) => [id?.toString(), method, raw?.toString()])).toEqual([
        ['9007199254740993', 'sampling/x', params],
      ]);
    });

    it('comments, other events and answers that nobody waits for are passed over', async () => {
      const session = await connector.connect(target());
      server.onPost = ({ id }) => {
        server.write(': keep-alive\n\nevent: ping\ndata: now\n\ndata: {"jsonrpc":"2.0","id":"77","result":{}}\n\n');
        server.say({ jsonrpc: '2.0', id, result: { ok: true } });
        return false;
      };

      expect((await session.request('tools/call', undefined)).raw.toString()).toBe('{"ok":true}');
      expect(session.lost).toBeUndefined();
    });

    it('bytes that are no UTF-8 end the session: an answer may be among what we cannot read', async () => {
      const session = await connector.connect(target());

      server.write(Buffer.from('data: {"jsonrpc":"2.0","id":1,"result":"\xff"}\n\n', 'latin1'));

      expect(await lost(session)).toMatchObject({ code: 'UPSTREAM_SESSION_LOST' });
    });

    it.each([
      ['as most libraries write it', (id: number) => `{"jsonrpc":"2.0","id":${id},"result":${HUGE}}`],
      ['with spaces, the id first', (id: number) => ` { "id" : ${id}, "jsonrpc" : "2.0", "error" : ${HUGE} }`],
    ])('an answer that is too large fails its own call and no other, %s (S-6)', async (_what, answer) => {
      const session = await connector.connect(target());
      let other = 0;
      const unharmed = session.request('tools/list', undefined, { onId: (id) => (other = id) });
      await posted('tools/list');
      let large = 0;
      const failed = failureOf(session.request('tools/call', undefined, { onId: (id) => (large = id) }));
      await posted('tools/call');

      server.write(`data: ${answer(large)}\n\n`);

      expect(await failed).toMatchObject({ code: 'RESULT_TOO_LARGE', execution: 'unknown', sessionSound: true });
      server.say({ jsonrpc: '2.0', id: other, result: { small: true } });
      expect((await unharmed).raw.toString()).toBe('{"small":true}');
      expect(session.lost).toBeUndefined();
    });

    it.each([
      ['a notification', () => `{"jsonrpc":"2.0","method":"notifications/x","params":[${HUGE}]}`],
      ['a request, which has an id of the server', (id: number) => `{"jsonrpc":"2.0","id":${id},"method":${HUGE}}`],
      ['an id inside of the result', (id: number) => `{"result":{"id":${id},"result":${HUGE}},"id":99}`],
    ])('one that does not begin like an answer ends the session: %s (S-6)', async (_what, message) => {
      const session = await connector.connect(target());
      let id = 0;
      const call = failureOf(session.request('tools/call', undefined, { onId: (own) => (id = own) }));
      await posted('tools/call');

      server.write(`data: ${message(id)}\n\n`);

      expect(await call).toMatchObject({ code: 'RESULT_TOO_LARGE', execution: 'unknown' });
      expect(session.lost).toMatchObject({ code: 'RESULT_TOO_LARGE' });
    });
  });

  describe('POSTs', () => {
    it('follow a redirect that keeps them, within the origin and no further (S-5)', async () => {
      const other = await RawSseServer.start();
      const session = await connector.connect(target());
      const redirect = (status: number, location: string): void => {
        server.onPost = (_message, res) => {
          server.onPost = undefined;
          res.writeHead(status, { location }).end();
          return true;
        };
      };

      redirect(308, '/elsewhere');
      await session.notify('notifications/moved');
      redirect(302, '/elsewhere');
      const asGet = await failureOf(session.notify('notifications/as-get'));
      redirect(307, `${other.origin}/post`);
      const away = await failureOf(session.notify('notifications/away'));

      expect(server.posts.filter(({ method }) => method === 'notifications/moved')).toHaveLength(2);
      expect(asGet).toMatchObject({ code: 'UPSTREAM_NOT_MCP', execution: 'none', status: 302 });
      expect(away).toMatchObject({ code: 'UPSTREAM_NOT_MCP', execution: 'none' });
      expect(other.posts).toEqual([]);
      await other.close();
    });

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
