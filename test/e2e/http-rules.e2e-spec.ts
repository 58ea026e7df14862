import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask, askAll } from '../support/raw-http.js';
import { initializeAt, MCP_HEADERS, post, request, type RpcAnswer, send } from '../support/rpc.js';
import { type EdgeWorld, startEdge } from './edge-world.support.js';

/** PROTOCOL §5.1, what is asked and answered; streams are in http-streams.e2e-spec.ts. */
let world: EdgeWorld;

beforeAll(async () => {
  world = await startEdge({ MAX_BODY_BYTES: '65536' });
});

afterAll(() => world.close());

const OTHERS = 'http://evil.example.com';

describe.each([
  ['/mcp', () => `${world.replica.url}/mcp`],
  ['/gateways/:id/mcp', () => `${world.replica.url}/gateways/${world.gatewayId}/mcp`],
])('%s, PROTOCOL §5.1', (_name, at) => {
  let mcp: string;
  let session: Record<string, string>;
  beforeAll(async () => {
    mcp = at();
    session = await initializeAt(mcp);
  });

  const initializing = (protocolVersion = '2025-11-25', headers: Record<string, string> = {}): Promise<RpcAnswer> => {
    const params = { protocolVersion, capabilities: {}, clientInfo: { name: 't', version: '1' } };
    return post(mcp, request('initialize', params), headers);
  };

  it('I1: initialize is answered with the result and a session id', async () => {
    const answer = await initializing();
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.json.result).toMatchObject({
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: {},
    });
    expect(answer.headers.get('mcp-session-id')).not.toBeNull();
  });

  it('I2, I3: the session id is visible ASCII, of 128 bits at least, and new each time', async () => {
    const ids = await Promise.all([1, 2, 3].map(async () => (await initializing()).headers.get('mcp-session-id')));
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{22,128}$/);
  });

  it.each([
    ['1999-01-01', '2025-11-25'],
    ['2025-11-25', '2025-11-25'],
    ['2025-06-18', '2025-06-18'],
    ['2025-03-26', '2025-03-26'],
    ['2024-11-05', '2025-11-25'],
  ])('I4, I5: revision %s is answered with %s', async (asked, agreed) => {
    expect((await initializing(asked)).json.result).toMatchObject({ protocolVersion: agreed });
  });

  it.each([
    ['P1 a notification', { method: 'notifications/initialized' }],
    ['P1 an unknown notification', { method: 'notifications/of/the/future' }],
    ['P2 a response', { id: 1, result: {} }],
    ['P2 an error response', { id: 1, error: { code: -1, message: 'no' } }],
  ])('%s is 202 without a body', async (_what, message) => {
    const { status, text } = await post(mcp, { jsonrpc: '2.0', ...message }, session);
    expect([status, text]).toEqual([202, '']);
  });

  it.each([['abc'], [0], [-1], ['']])('P3, P4: the id %j comes back as it was', async (id) => {
    const answer = await post(mcp, { jsonrpc: '2.0', id, method: 'ping' }, session);
    expect(answer.json).toEqual({ jsonrpc: '2.0', id, result: {} });
  });

  it.each([
    ['P6 broken JSON', '{"jsonrpc":', -32700],
    ['P6 no body', '', -32700],
    ['P6 not UTF-8', Buffer.from([0x22, 0xff, 0x22]), -32700],
    ['P7 not JSON-RPC', '{"hello":1}', -32600],
    ['P7 another version of JSON-RPC', '{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
    ['P7 a text', '"ping"', -32600],
    ['P8 a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600],
    ['P8 an empty batch', '[]', -32600],
    ['a null id', '{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600],
  ])('%s is 400', async (_what, body, code) => {
    const answer = await send('POST', mcp, { ...MCP_HEADERS, ...session }, body);
    expect([answer.status, answer.json.error?.code]).toEqual([400, code]);
  });

  it('P8: a batch is refused on 2025-06-18, too', async () => {
    const older = await initializeAt(mcp, {}, '2025-06-18');
    const answer = await post(mcp, [request('ping')], older);
    expect([answer.status, answer.json.error?.code]).toEqual([400, -32600]);
  });

  it('P9: an unknown method is −32601 at HTTP 200', async () => {
    const answer = await post(mcp, request('no/such'), session);
    expect([answer.status, answer.json.error?.code]).toEqual([200, -32601]);
  });

  it.each([
    ['A1 Accept without event streams', { accept: 'application/json' }, 406],
    ['A1 Accept without JSON', { accept: 'text/event-stream' }, 406],
    ['A3 Content-Type text/plain', { 'content-type': 'text/plain' }, 415],
    ['V1 an unknown protocol version', { 'mcp-protocol-version': '1999-01-01' }, 400],
    ['S2 an unknown session', { 'mcp-session-id': 'nobody' }, 404],
    ['O1 a foreign Origin', { origin: OTHERS }, 403],
    ['O2 the Origin null', { origin: 'null' }, 403],
  ])('%s is refused on POST', async (_what, headers, status) => {
    const answer = await post(mcp, request('ping'), { ...session, ...headers });
    expect(answer.status).toBe(status);
    expect(answer.json.error?.data?.['code']).toBeDefined();
  });

  it('A2: no Accept at all is 406', async () => {
    const answer = await askAll('POST', mcp, { 'content-type': 'application/json', ...session }, request('ping'));
    expect([answer.status, answer.messages[0]?.error?.data?.['code']]).toEqual([406, 'NOT_ACCEPTABLE']);
  });

  it('A4: a charset does no harm', async () => {
    const headers = { ...session, 'content-type': 'application/json; charset=utf-8' };
    expect((await post(mcp, request('ping'), headers)).status).toBe(200);
  });

  it.each(['application/json', 'text/html', 'none'])('A5: GET with Accept %s is 406', async (accept) => {
    const answer = await askAll('GET', mcp, { ...session, ...(accept === 'none' ? {} : { accept }) });
    expect([answer.status, answer.messages[0]?.error?.data?.['code']]).toEqual([406, 'NOT_ACCEPTABLE']);
  });

  it.each(['PUT', 'PATCH', 'OPTIONS', 'HEAD', 'QUERY'])('A6: %s is 405 with Allow', async (method) => {
    const answer = await askAll(method, mcp, session);
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, POST, DELETE']);
  });

  it.each(['POST', 'GET', 'DELETE'])('S1: %s without a session id is 400', async (method) => {
    const body = method === 'POST' ? JSON.stringify(request('ping')) : undefined;
    const answer = await send(method, mcp, MCP_HEADERS, body);
    expect([answer.status, answer.json.error?.data?.['code']]).toEqual([400, 'SESSION_REQUIRED']);
  });

  it('S2, S3, S4: an unknown session is 404 on POST, GET and DELETE', async () => {
    const unknown = { ...MCP_HEADERS, 'mcp-session-id': 'x'.repeat(32) };
    const answers = [
      await post(mcp, request('ping'), unknown),
      await send('GET', mcp, unknown),
      await send('DELETE', mcp, unknown),
    ];
    for (const { status, json } of answers) expect([status, json.error?.code]).toEqual([404, -32001]);
  });

  it('S5, S6: DELETE ends the session; after it everything is 404, a second DELETE too (D-10)', async () => {
    const own = { ...MCP_HEADERS, ...(await initializeAt(mcp)) };
    expect((await send('DELETE', mcp, own)).status).toBe(200);
    const after = [await post(mcp, request('ping'), own), await send('GET', mcp, own), await send('DELETE', mcp, own)];
    expect(after.map(({ status }) => status)).toEqual([404, 404, 404]);
  });

  it('S7: a second initialize in a session is refused, and the session goes on', async () => {
    const again = await initializing('2025-11-25', session);
    expect([again.status, again.json.error?.code]).toEqual([400, -32600]);
    expect((await post(mcp, request('ping'), session)).status).toBe(200);
  });

  it('V1, V2: an unknown MCP-Protocol-Version is 400 on POST, GET and DELETE', async () => {
    const headers = { ...MCP_HEADERS, ...session, 'mcp-protocol-version': 'tomorrow' };
    const answers = [
      await post(mcp, request('ping'), headers),
      await send('GET', mcp, headers),
      await send('DELETE', mcp, headers),
    ];
    for (const { status, json } of answers) {
      expect([status, json.error?.data?.['code']]).toEqual([400, 'UNSUPPORTED_PROTOCOL_VERSION']);
    }
  });

  it('V3: without the header what was negotiated holds (a 2025-03-26 session may batch)', async () => {
    const older = await initializeAt(mcp, {}, '2025-03-26');
    const { 'mcp-protocol-version': _, ...withoutVersion } = older;
    const { 'mcp-protocol-version': __, ...newest } = session;
    expect((await post(mcp, [request('ping')], withoutVersion)).status).toBe(200);
    expect((await post(mcp, [request('ping')], newest)).status).toBe(400);
    expect((await post(mcp, request('ping'), newest)).status).toBe(200);
  });

  it.each([OTHERS, 'null', 'not a url', 'http://127.0.0.1:1'])('O1 to O5: Origin %s is 403', async (origin) => {
    const headers = { ...MCP_HEADERS, ...session, origin };
    const answers = [
      await post(mcp, request('ping'), headers),
      await initializing('2025-11-25', { origin }),
      await send('GET', mcp, headers),
      await send('DELETE', mcp, headers),
    ];
    for (const { status, json } of answers) {
      expect([status, json.error?.data?.['code']]).toEqual([403, 'ORIGIN_NOT_ALLOWED']);
    }
  });

  it('O6: no Origin and our own Origin are fine; O7: a foreign Host is 403', async () => {
    expect((await post(mcp, request('ping'), { ...session, origin: world.replica.url })).status).toBe(200);
    const { host } = new URL(mcp);
    const hosts = [`localhost:${new URL(mcp).port}`, host, 'evil.example.com', '10.2.3.4:4444'];
    const asked = hosts.map((name) =>
      askAll('POST', mcp, { ...MCP_HEADERS, ...session, host: name }, request('ping')).then(({ status }) => status),
    );
    expect(await Promise.all(asked)).toEqual([200, 200, 403, 403]);
  });

  it("§8: a refusal carries the caller's id, also when the body had not been read yet", async () => {
    const answers = [
      await post(mcp, { jsonrpc: '2.0', id: 7, method: 'ping' }, { ...session, 'content-type': 'text/plain' }),
      await post(mcp, { jsonrpc: '2.0', id: 'x', method: 'ping' }, { ...session, origin: OTHERS }),
      await post(mcp, { jsonrpc: '2.0', id: 9, method: 'ping' }, { ...session, accept: 'text/html' }),
    ];
    expect(answers.map(({ status, json }) => [status, json.id])).toEqual([
      [415, 7],
      [403, 'x'],
      [406, 9],
    ]);
  });

  it.each([70_000, 8_000_000])(
    'S-6: a body of %d bytes, over the limit, is 413 and says which setting',
    async (size) => {
      const answer = await post(mcp, request('ping', { filler: 'x'.repeat(size) }), session);
      expect([answer.status, answer.json.error?.code]).toEqual([413, -32600]);
      expect(answer.json.error?.message).toContain('MAX_BODY_BYTES');
    },
  );

  it('S-6: so is one that does not announce its size', async () => {
    const headers = { ...MCP_HEADERS, ...session, 'transfer-encoding': 'chunked' };
    const answer = await ask('POST', mcp, headers, request('ping', { filler: 'x'.repeat(1_000_000) }));
    expect(answer.status).toBe(413);
  });

  it('the request id goes in and out, on answers and refusals; an odd one is replaced', async () => {
    const idOf = async (headers: Record<string, string>): Promise<string | null> =>
      (await post(mcp, request('ping'), { ...session, ...headers })).headers.get('x-request-id');
    expect(await idOf({ 'x-request-id': 'abc-1' })).toBe('abc-1');
    expect(await idOf({ 'x-request-id': 'abc-2', accept: 'no' })).toBe('abc-2');
    expect(await idOf({ 'x-request-id': 'a b' })).toMatch(/^[0-9a-f-]{36}$/);
  });
});

it('S-7: a foreign Host is refused, except for probes, which come with the address of the pod', async () => {
  const statusOf = async (path: string): Promise<number> =>
    (await askAll('GET', `${world.replica.url}${path}`, { host: '10.2.3.4:4444' })).status;
  expect([await statusOf('/health'), await statusOf('/ready'), await statusOf('/metrics')]).toEqual([200, 200, 200]);
  expect([await statusOf('/gateways'), await statusOf('/mcp'), await statusOf('/sse')]).toEqual([403, 403, 403]);
});
