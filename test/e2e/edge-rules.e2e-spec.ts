import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startRawMcp } from '../support/raw-mcp.js';
import { ask, askAll } from '../support/raw-http.js';
import { initializeAt, MCP_HEADERS, post, register, request, send } from '../support/rpc.js';
import { type EdgeWorld, HttpClient, startEdge } from './edge-world.support.js';

/** What holds around the MCP endpoints: pages, endpoints, batches, gateways that are away (SPEC §5, §8). */
const PAGE = 'https://app.example.org';
let world: EdgeWorld;
let url: string;

beforeAll(async () => {
  world = await startEdge({ ALLOWED_ORIGINS: PAGE });
  ({ url } = world.replica);
});

afterAll(() => world.close());

describe('pages (SPEC §8, CORS)', () => {
  const allowed = [
    'authorization',
    'content-type',
    'accept',
    'mcp-session-id',
    'mcp-protocol-version',
    'last-event-id',
  ];
  const paths = (): string[] => ['/mcp', `/gateways/${world.gatewayId}/mcp`, '/rpc', '/sse', '/messages', '/gateways'];

  it('OPTIONS of an allowed Origin is 204 with what it may send and see, on every route', async () => {
    for (const path of paths()) {
      const headers = { origin: PAGE, 'access-control-request-method': 'POST' };
      const answer = await send('OPTIONS', url + path, headers);
      expect([path, answer.status, answer.text]).toEqual([path, 204, '']);
      expect(answer.headers.get('access-control-allow-origin')).toBe(PAGE);
      expect(answer.headers.get('access-control-allow-headers')?.split(', ')).toEqual(allowed);
      expect(answer.headers.get('access-control-allow-methods')).toContain('DELETE');
      expect(answer.headers.get('vary')).toContain('Origin');
    }
  });

  it('its answers, refusals too, may be read, and with them Mcp-Session-Id and WWW-Authenticate', async () => {
    const answers = [
      await post(`${url}/mcp`, request('initialize', { protocolVersion: '2025-11-25' }), { origin: PAGE }),
      await post(`${url}/mcp`, request('ping'), { origin: PAGE }),
      await send('GET', `${url}/gateways`, { origin: PAGE }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 400, 200]);
    for (const { headers } of answers) {
      expect(headers.get('access-control-allow-origin')).toBe(PAGE);
      expect(headers.get('access-control-expose-headers')).toBe('Mcp-Session-Id, WWW-Authenticate');
    }
  });

  it('a foreign Origin is 403 on every route, OPTIONS too, and may read nothing', async () => {
    for (const path of paths()) {
      for (const method of ['OPTIONS', 'GET']) {
        const answer = await send(method, url + path, { ...MCP_HEADERS, origin: 'https://evil.example.com' });
        expect([path, answer.status]).toEqual([path, 403]);
        expect(answer.headers.get('access-control-allow-origin')).toBeNull();
      }
    }
  });
});

describe('endpoints', () => {
  it('a session is none at another endpoint', async () => {
    const alone = `${url}/gateways/${world.gatewayId}/mcp`;
    for (const [own, other] of [
      [`${url}/mcp`, alone],
      [alone, `${url}/mcp`],
    ] as const) {
      const session = { ...MCP_HEADERS, ...(await initializeAt(own)) };
      const answers = [
        await post(other, request('ping'), session),
        await send('GET', other, session),
        await send('DELETE', other, session),
      ];
      for (const { status, json } of answers) expect([status, json.error?.code]).toEqual([404, -32001]);
      expect((await post(own, request('ping'), session)).status).toBe(200);
    }
  });

  it.each([
    ['an unknown id', randomUUID()],
    ['what is no id', 'nonsense'],
    ['dashes', '-'.repeat(36)],
    ['%00', '%00'],
  ])('/gateways/<%s>/mcp is 404 with a JSON-RPC body', async (_what, id) => {
    const answer = await post(`${url}/gateways/${id}/mcp`, request('initialize', { protocolVersion: '2025-11-25' }));
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.json.error?.data).toMatchObject({ code: 'NOT_FOUND' });
    expect(typeof answer.json.id).toBe('number');
  });

  it('/gateways/:id/mcp has the names of its server, untouched (G-10), and its methods', async () => {
    const client = await HttpClient.open(`${url}/gateways/${world.gatewayId}/mcp`);
    const listed = await client.post(request('tools/list'));
    await listed.end();
    const { tools } = listed.messages[0]?.result as { tools: { name: string }[] };
    expect(tools.map(({ name }) => name)).toContain('echo');
    const called = await client.call('echo', { text: 'own name' });
    await called.end();
    expect(called.messages[0]?.result).toMatchObject({ content: [{ text: 'own name' }] });
  });

  it('a disabled gateway: its tools are in no list, its calls say why, its own endpoint is empty', async () => {
    const { id } = await register(url, { name: 'Off', url: world.server.mcpUrl });
    const before = await HttpClient.open(`${url}/gateways/${id}/mcp`);
    expect((await post(`${url}/gateways/${id}/state`, { enabled: false })).status).toBeLessThan(300);
    const listed = await post(`${url}/rpc`, request('tools/list'));
    const { tools } = listed.json.result as { tools: { name: string }[] };
    expect(tools.filter(({ name }) => name.startsWith('off-'))).toEqual([]);
    expect(tools.length).toBeGreaterThan(0);
    const call = await post(`${url}/rpc`, request('tools/call', { name: 'off-echo', arguments: { text: 'x' } }));
    expect([call.status, call.json.error?.data]).toMatchObject([200, { code: 'GATEWAY_DISABLED' }]);
    const own = await before.call('echo', { text: 'x' });
    await own.end();
    expect(own.messages[0]?.error?.data).toMatchObject({ code: 'GATEWAY_DISABLED' });
    const fresh = await HttpClient.open(`${url}/gateways/${id}/mcp`);
    const empty = await fresh.post(request('tools/list'));
    await empty.end();
    expect(empty.messages[0]?.result).toEqual({ tools: [] });
    await send('DELETE', `${url}/gateways/${id}`);
  });
});

describe('batches, on 2025-03-26', () => {
  it('requests are answered on one stream, each with its id; notifications alone are 202', async () => {
    const client = await HttpClient.open(`${url}/mcp`, { version: '2025-03-26' });
    const answer = await client.post([
      { jsonrpc: '2.0', id: 'a', method: 'ping' },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'demo-echo', arguments: { text: 'x' } } },
      { jsonrpc: '2.0', id: 3, method: 'no/such' },
    ]);
    expect(await answer.end()).toBe('complete');
    expect(answer.headers['content-type']).toBe('text/event-stream');
    expect(answer.messages.map(({ id }) => id).sort()).toEqual([2, 3, 'a']);
    expect(answer.messages.find(({ id }) => id === 3)?.error?.code).toBe(-32601);
    const quiet = await client.post([{ jsonrpc: '2.0', method: 'notifications/initialized' }]);
    expect(quiet.status).toBe(202);
  });

  it.each([
    ['an empty one', '[]'],
    ['one of 101', JSON.stringify(Array.from({ length: 101 }, () => request('ping')))],
    ['with initialize', JSON.stringify([request('initialize', { protocolVersion: '2025-03-26' })])],
    ['with what is no message', JSON.stringify([request('ping'), 7])],
  ])('%s is 400, and none of it is run', async (_what, body) => {
    const client = await HttpClient.open(`${url}/mcp`, { version: '2025-03-26' });
    const answer = await client.post(body);
    await answer.end();
    expect([answer.status, answer.messages[0]?.error?.code]).toEqual([400, -32600]);
  });
});

describe('a gateway that is away (partial availability)', () => {
  it.each([
    ['refuses', async (close: () => Promise<void>) => close()],
    ['hangs', async (_close: () => Promise<void>, hang: () => void) => Promise.resolve(hang())],
  ])('one that %s delays and fails neither initialize nor lists; its tool says what is wrong', async (what, leave) => {
    let hung = false;
    const raw = await startRawMcp((message, res) => {
      if (hung) return undefined;
      if (message.method === 'tools/list') return { tools: [{ name: 'x', inputSchema: { type: 'object' } }] };
      res.statusCode = 200;
      return {};
    });
    const { id } = await register(url, { name: `away ${what}`, url: raw.url });
    await leave(
      () => raw.close(),
      () => (hung = true),
    );
    const started = performance.now();
    for (const endpoint of [`${url}/mcp`, `${url}/gateways/${id}/mcp`]) {
      const client = await HttpClient.open(endpoint);
      for (const method of ['tools/list', 'resources/list', 'prompts/list', 'resources/templates/list']) {
        const listed = await client.post(request(method));
        await listed.end();
        expect([method, listed.messages[0]?.error]).toEqual([method, undefined]);
      }
    }
    expect(performance.now() - started).toBeLessThan(3_000);
    const other = await post(`${url}/rpc`, request('tools/call', { name: 'demo-echo', arguments: { text: 'here' } }));
    expect(other.json.result).toMatchObject({ content: [{ text: 'here' }] });
    if (what === 'refuses') {
      const call = await post(`${url}/rpc`, request('tools/call', { name: 'away-refuses-x', arguments: {} }));
      expect(call.status).toBe(200);
      expect(call.json.error).toMatchObject({
        code: -32000,
        data: { code: 'UPSTREAM_UNAVAILABLE', gateway: 'away refuses' },
      });
    }
    await raw.close().catch(() => undefined);
    await send('DELETE', `${url}/gateways/${id}`);
  });
});

describe('HEAD is answered without a body and leaves the connection usable', () => {
  it.each(['/mcp', '/rpc', '/sse', '/messages'])('%s', async (path) => {
    const answer = await ask('HEAD', url + path, MCP_HEADERS);
    expect([404, 405]).toContain(answer.status);
    expect(await answer.end()).toBe('complete');
  });
});

it('an unknown route is a problem document, a foreign method too', async () => {
  const answer = await askAll('GET', `${url}/no/such`);
  expect([answer.status, answer.headers['content-type']]).toEqual([404, 'application/problem+json; charset=utf-8']);
});
