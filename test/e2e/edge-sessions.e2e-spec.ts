import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Sessions } from '../../src/downstream/session/sessions.js';
import { ask, askAll, type RawAnswer } from '../support/raw-http.js';
import { initializeAt, MCP_HEADERS, post, request, send } from '../support/rpc.js';
import { freshKeyPrefix, redisUrl } from '../support/services.js';
import { bearer, TEST_JWT_SECRET } from '../support/tokens.js';
import { until } from '../support/until.js';
import { type EdgeWorld, HttpClient, startEdge } from './edge-world.support.js';

type Headers = Record<string, string>;

/** Whose a session is, how many there may be and how long they live (SPEC S-3, D-10), on both transports. */
const STREAM = { accept: 'text/event-stream' };
const JWT = { AUTH_MODE: 'jwt', JWT_SECRET: TEST_JWT_SECRET };

async function admin(): Promise<Headers> {
  return bearer('root', { scope: 'admin' });
}

async function openSse(url: string, headers: Headers): Promise<{ stream: RawAnswer; endpoint: string }> {
  const stream = await ask('GET', url, { ...STREAM, ...headers });
  const { data } = await stream.block(({ event }) => event === 'endpoint', 'the endpoint');
  return { stream, endpoint: new URL(String(data), url).toString() };
}

const initializing = request('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} });

describe('a session belongs to its user (S-3)', () => {
  let world: EdgeWorld;
  let ann: Headers;
  let bob: Headers;
  beforeAll(async () => {
    const env = { ...JWT, REDIS_URL: redisUrl(), REDIS_KEY_PREFIX: freshKeyPrefix() };
    world = await startEdge(env, {}, await admin());
    [ann, bob] = [await bearer('ann'), await bearer('bob')];
  });
  afterAll(() => world.close());

  it.each([
    ['/mcp', () => `${world.replica.url}/mcp`],
    ['/gateways/:id/mcp', () => `${world.replica.url}/gateways/${world.gatewayId}/mcp`],
  ])("%s: another user's id is 404 on POST, GET, GET with Last-Event-ID and DELETE", async (_name, at) => {
    const own = await initializeAt(at(), ann);
    const foreign = { ...MCP_HEADERS, ...own, ...bob };
    const answers = [
      await post(at(), request('ping'), foreign),
      await send('GET', at(), foreign),
      await send('GET', at(), { ...foreign, 'last-event-id': '0.0' }),
      await send('DELETE', at(), foreign),
    ];
    for (const { status, json } of answers) expect([status, json.error?.code]).toEqual([404, -32001]);
    expect((await post(at(), request('ping'), own)).status).toBe(200);
  });

  it.each([
    ['/sse', () => `${world.replica.url}/sse`],
    ['/gateways/:id/sse', () => `${world.replica.url}/gateways/${world.gatewayId}/sse`],
  ])("%s: another user's id is 404 on /messages and when resuming; its owner resumes", async (_name, at) => {
    const { stream, endpoint } = await openSse(at(), ann);
    const json = { 'content-type': 'application/json' };
    const foreign = await askAll('POST', endpoint, { ...json, ...bob }, request('ping'));
    expect([foreign.status, foreign.messages[0]?.error?.code]).toEqual([404, -32001]);
    const nobody = await askAll('POST', endpoint, json, request('ping'));
    expect([nobody.status, nobody.headers['www-authenticate']?.slice(0, 6)]).toEqual([401, 'Bearer']);

    expect((await askAll('POST', endpoint, { ...json, ...ann }, initializing)).status).toBe(202);
    const { id } = await stream.block((block) => block.event === 'message', 'the answer');
    stream.cut();
    const resume = { ...STREAM, 'last-event-id': String(id) };
    expect((await ask('GET', at(), { ...resume, ...bob })).status).toBe(404);
    expect((await askAll('POST', endpoint, { ...json, ...ann }, request('ping'))).status).toBe(202);
    const again = await ask('GET', at(), { ...resume, ...ann });
    await again.message(({ result }) => result !== undefined, 'what came meanwhile');
    expect(again.blocks.filter(({ event }) => event === 'endpoint')).toEqual([]);
    again.cut();
  });
});

describe('how many there may be: 429 with Retry-After (D-10)', () => {
  it('SESSION_MAX_TOTAL, over both transports; one that ends makes room', async () => {
    const world = await startEdge({ SESSION_MAX_TOTAL: '2' });
    const { url } = world.replica;
    const first = await HttpClient.open(`${url}/mcp`);
    const { stream } = await openSse(`${url}/sse`, {});
    const refusals = [
      await askAll('POST', `${url}/mcp`, MCP_HEADERS, initializing),
      await askAll('GET', `${url}/sse`, STREAM),
    ];
    for (const { status, headers, messages } of refusals) {
      expect([status, headers['retry-after'], messages[0]?.error?.data?.['code']]).toEqual([
        429,
        '10',
        'SESSION_LIMIT',
      ]);
    }
    expect((await first.delete()).status).toBe(200);
    expect((await askAll('POST', `${url}/mcp`, MCP_HEADERS, initializing)).status).toBe(200);
    stream.cut();
    await until(async () => (await askAll('POST', `${url}/mcp`, MCP_HEADERS, initializing)).status === 200, {
      what: 'the end of the stream makes room',
    });
    await world.close();
  });

  it('SESSION_MAX_PER_USER: one user at his limit takes nothing from another', async () => {
    const world = await startEdge({ ...JWT, SESSION_MAX_PER_USER: '2' }, {}, await admin());
    const mcp = `${world.replica.url}/mcp`;
    const [ann, bob] = [await bearer('ann'), await bearer('bob')];
    await initializeAt(mcp, ann);
    await initializeAt(mcp, await bearer('ann'));
    const refused = await post(mcp, initializing, ann);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10']);
    expect(refused.json.error?.message).toContain('SESSION_MAX_PER_USER');
    await initializeAt(mcp, bob);
    await world.close();
  });
});

describe('how long they live: SESSION_TTL_SECONDS (D-10)', () => {
  it('one that is used, or whose stream is open, does not expire; one that is not does, with all it has', async () => {
    const world = await startEdge({ SESSION_TTL_SECONDS: '0.4' });
    const mcp = `${world.replica.url}/mcp`;
    const sessions = world.replica.app.get(Sessions);
    const listening = await HttpClient.open(mcp);
    const standing = await listening.listen();
    const calling = await HttpClient.open(mcp);
    const running = await calling.call('demo-gate');
    await world.server.waitFor(({ atGate }) => atGate === 1);
    for (let round = 0; round < 3; round += 1) {
      const idle = await HttpClient.open(mcp);
      await (await idle.call('demo-counter')).end();
      await until(() => sessions.size === 2, { what: 'the idle one has expired' });
      expect((await idle.post(request('ping'))).status).toBe(404);
    }
    await world.server.waitFor(({ deletes }) => deletes >= 3);
    expect(standing.ended).toBeUndefined();
    expect((await listening.post(request('ping'))).status).toBe(200);
    world.server.openGate();
    await running.end();
    expect(running.messages.at(-1)?.result).toBeDefined();
    standing.cut();
    await until(() => sessions.size === 0, { what: 'all have expired' });
    await world.close();
  });
});

describe('the lean edge and the controllers are one service', () => {
  it('the same principal, errors, request ids, metrics and log lines', async () => {
    const world = await startEdge({ ...JWT, SESSION_MAX_PER_USER: '2' }, {}, await admin());
    const { url, logLines } = world.replica;
    const ann = await bearer('ann');
    const edges: [string, string, Headers][] = [
      ['POST', `${url}/mcp`, { ...MCP_HEADERS }],
      ['GET', `${url}/sse`, { ...STREAM }],
    ];
    let asked = 0;
    const refusedWith = async (headers: Headers): Promise<unknown[]> =>
      Promise.all(
        edges.map(async ([method, at, own]) => {
          const id = `${method}-${(asked += 1)}`;
          const body = method === 'POST' ? initializing : undefined;
          const answer = await askAll(method, at, { ...own, ...headers, 'x-request-id': id }, body);
          const logged = await until(() => logLines.find((line) => line['requestId'] === id && line['code']), {
            what: `${id} in the log`,
          });
          expect(answer.headers['x-request-id']).toBe(id);
          expect(answer.headers['content-type']).toBe('application/json');
          const { error } = answer.messages[0] ?? {};
          return [answer.status, error, answer.headers['www-authenticate'], logged['code']];
        }),
      );
    for (const [headers, status, code] of [
      [{}, 401, 'UNAUTHORIZED'],
      [{ authorization: 'Bearer x.y.z' }, 401, 'UNAUTHORIZED'],
      [await bearer('ann', { scope: 'gateways:read' }), 403, 'FORBIDDEN'],
      [{ ...ann, origin: 'http://evil.example.com' }, 403, 'ORIGIN_NOT_ALLOWED'],
    ] as [Headers, number, string][]) {
      const [lean, controller] = (await refusedWith(headers)) as [unknown[], unknown[]];
      expect(lean).toEqual(controller);
      expect([lean[0], lean[3]]).toEqual([status, code]);
    }

    // One user, whichever way: both sessions count as his.
    const session = await initializeAt(`${url}/mcp`, ann);
    const { stream, endpoint } = await openSse(`${url}/sse`, await bearer('ann'));
    const third = await post(`${url}/mcp`, initializing, ann);
    expect(third.json.error?.data).toMatchObject({ code: 'SESSION_LIMIT' });

    await post(`${url}/mcp`, request('tools/call', { name: 'demo-echo', arguments: { text: 'x' } }), session);
    const json = { 'content-type': 'application/json', ...ann };
    await askAll('POST', endpoint, json, initializing);
    await stream.message(({ id }) => id === initializing['id'], 'initialize');
    await askAll('POST', endpoint, json, request('tools/call', { name: 'demo-echo', arguments: { text: 'x' } }));
    await until(() => stream.messages.length === 2, { what: 'the answer' });
    const metrics = await askAll('GET', `${url}/metrics`, await admin());
    for (const endpointLabel of ['/mcp', '/sse']) {
      expect(metrics.text).toContain(
        `mcpgateway_mcp_requests_total{endpoint="${endpointLabel}",method="tools/call",outcome="ok"} 1`,
      );
    }
    stream.cut();
    await world.close();
  });
});
