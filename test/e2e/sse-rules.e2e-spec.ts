import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Sessions } from '../../src/downstream/session/sessions.js';
import { ask, askAll, type Message, type RawAnswer } from '../support/raw-http.js';
import { request } from '../support/rpc.js';
import { type Replica, startReplica } from '../support/replica.js';
import { until } from '../support/until.js';
import { type EdgeWorld, startEdge } from './edge-world.support.js';

/** PROTOCOL §5.2: HTTP+SSE of 2024-11-05 (SPEC D-3). */
let world: EdgeWorld;

beforeAll(async () => {
  world = await startEdge({ SSE_KEEPALIVE_SECONDS: '0.2', MAX_BODY_BYTES: '65536' });
});

afterAll(() => world.close());

const JSON_TYPE = { 'content-type': 'application/json' };
const STREAM = { accept: 'text/event-stream' };
const open: RawAnswer[] = [];

afterEach(() => {
  for (const stream of open.splice(0)) stream.cut();
});

/** A client that has its `endpoint`. */
class SseClient {
  private constructor(
    readonly stream: RawAnswer,
    readonly endpoint: string,
  ) {}

  static async open(url: string): Promise<SseClient> {
    const stream = await ask('GET', url, STREAM);
    open.push(stream);
    const { data } = await stream.block(({ event }) => event === 'endpoint', 'the endpoint');
    return new SseClient(stream, new URL(String(data), url).toString());
  }

  async initialized(protocolVersion = '2024-11-05', capabilities: object = {}): Promise<Message> {
    const params = { protocolVersion, capabilities, clientInfo: { name: 'sse', version: '1' } };
    const answer = await this.request('initialize', params);
    await this.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return answer;
  }

  /** The answer that comes on the stream. */
  async request(method: string, params?: unknown): Promise<Message> {
    const message = request(method, params);
    const { status } = await this.post(message);
    if (status !== 202) throw new Error(`${method}: HTTP ${status}`);
    return this.answerTo(message['id']);
  }

  answerTo(id: unknown): Promise<Message> {
    return this.stream.message(
      (message) => message.id === id && message.method === undefined,
      `answer to ${String(id)}`,
    );
  }

  post(body: unknown, headers: Record<string, string> = {}): Promise<RawAnswer> {
    return askAll('POST', this.endpoint, { ...JSON_TYPE, ...headers }, body);
  }
}

const codeOf = ({ messages }: RawAnswer): unknown => messages[0]?.error?.data?.['code'];

describe.each([
  ['/sse', () => `${world.replica.url}/sse`, 'demo-'],
  ['/gateways/:id/sse', () => `${world.replica.url}/gateways/${world.gatewayId}/sse`, ''],
])('%s, PROTOCOL §5.2', (_name, at, prefix) => {
  it('E1: GET is an event stream that nothing keeps back', async () => {
    const { stream } = await SseClient.open(at());
    expect([stream.status, stream.headers['content-type']]).toEqual([200, 'text/event-stream']);
    expect(stream.headers).toMatchObject({ 'x-accel-buffering': 'no' });
    expect(stream.headers['cache-control']).toContain('no-cache');
  });

  it('E2: its first event is the endpoint: a URI of the same origin with an unguessable session id', async () => {
    const client = await SseClient.open(at());
    expect(client.stream.blocks[0]?.event).toBe('endpoint');
    expect(client.stream.blocks[0]?.data).toMatch(/^\/messages\?sessionId=[A-Za-z0-9_-]{22,128}$/);
  });

  it('E3, E5: a request is 202 without an answer in it; that comes as a message event', async () => {
    const client = await SseClient.open(at());
    await client.initialized();
    for (const id of ['abc', 0, -1]) {
      const answer = await client.post({ jsonrpc: '2.0', id, method: 'ping' });
      expect([answer.status, answer.text]).toEqual([202, '']);
      expect(await client.answerTo(id)).toEqual({ jsonrpc: '2.0', id, result: {} });
    }
    for (const { event } of client.stream.blocks.slice(1)) expect([undefined, 'message']).toContain(event);
  });

  it.each([
    ['2024-11-05', '2024-11-05'],
    ['2025-06-18', '2025-06-18'],
    ['1999-01-01', '2025-11-25'],
  ])('E3: initialize with revision %s agrees on %s', async (asked, agreed) => {
    const client = await SseClient.open(at());
    expect((await client.initialized(asked)).result).toMatchObject({ protocolVersion: agreed });
  });

  it('E3: lists and calls work, and what belongs to a call comes before its answer', async () => {
    const client = await SseClient.open(at());
    await client.initialized();
    const { result } = await client.request('tools/list');
    expect((result?.['tools'] as { name: string }[]).map(({ name }) => name)).toContain(`${prefix}echo`);
    const called = await client.request('tools/call', { name: `${prefix}echo`, arguments: { text: 'over sse' } });
    expect(called.result).toMatchObject({ content: [{ text: 'over sse' }] });
    const params = { name: `${prefix}slow`, arguments: { ms: 40, steps: 3 }, _meta: { progressToken: 'p' } };
    await client.request('tools/call', params);
    const last = client.stream.messages.slice(-4).map(({ method }) => method ?? 'response');
    expect(last).toEqual([...Array<string>(3).fill('notifications/progress'), 'response']);
  });

  it('E4: a notification and a response are 202, and nothing comes of them', async () => {
    const client = await SseClient.open(at());
    await client.initialized();
    const before = client.stream.messages.length;
    const answers = [
      await client.post({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }),
      await client.post({ jsonrpc: '2.0', id: 99, result: {} }),
    ];
    expect(answers.map(({ status, text }) => [status, text])).toEqual([
      [202, ''],
      [202, ''],
    ]);
    await client.request('ping');
    expect(client.stream.messages.length).toBe(before + 1);
  });

  it('E4: a question of the server reaches the client during a call, and its answer goes back', async () => {
    const client = await SseClient.open(at());
    await client.initialized('2025-11-25', { elicitation: {} });
    const call = client.request('tools/call', { name: `${prefix}ask`, arguments: { message: 'well?' } });
    const question = await client.stream.message(({ method }) => method === 'elicitation/create', 'the question');
    await client.post({ jsonrpc: '2.0', id: question.id, result: { action: 'accept', content: { answer: 'yes' } } });
    expect(JSON.stringify((await call).result)).toContain('yes');
  });

  it.each([
    ['E6 an unknown session', '/messages?sessionId=nobody', 404, 'SESSION_NOT_FOUND'],
    ['E6 no session', '/messages', 400, 'SESSION_REQUIRED'],
    ['E6 two of them', '/messages?sessionId=a&sessionId=b', 400, 'SESSION_REQUIRED'],
  ])('%s is refused', async (_what, path, status, code) => {
    const answer = await askAll('POST', world.replica.url + path, JSON_TYPE, request('ping'));
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
  });

  it.each([
    ['E7 broken JSON', '{"jsonrpc":', {}, 400, -32700],
    ['E7 no body', '', {}, 400, -32700],
    ['E7 not JSON-RPC', '{"hello":1}', {}, 400, -32600],
    ['E7 a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', {}, 400, -32600],
    ['another Content-Type', '{"jsonrpc":"2.0","id":1,"method":"ping"}', { 'content-type': 'text/plain' }, 415, -32000],
    ['a body over MAX_BODY_BYTES', `{"x":"${'x'.repeat(70_000)}"}`, {}, 413, -32600],
  ])('%s is refused, the session goes on', async (_what, body, headers, status, code) => {
    const client = await SseClient.open(at());
    await client.initialized();
    const answer = await client.post(body, headers);
    expect([answer.status, answer.messages[0]?.error?.code]).toEqual([status, code]);
    expect((await client.request('ping')).result).toEqual({});
  });

  it.each(['http://evil.example.com', 'null'])('E8, E9: Origin %s is 403 on GET and POST', async (origin) => {
    const client = await SseClient.open(at());
    const answers = [await askAll('GET', at(), { ...STREAM, origin }), await client.post(request('ping'), { origin })];
    for (const answer of answers) expect([answer.status, codeOf(answer)]).toEqual([403, 'ORIGIN_NOT_ALLOWED']);
    expect((await client.post(request('ping'), { origin: world.replica.url })).status).toBe(202);
  });

  it('E10: two clients with the same ids stay apart', async () => {
    const [first, second] = [await SseClient.open(at()), await SseClient.open(at())];
    expect(first.endpoint).not.toBe(second.endpoint);
    await Promise.all([first.initialized(), second.initialized()]);
    const callOf = (text: string): object => ({
      ...{ jsonrpc: '2.0', id: 'same', method: 'tools/call' },
      params: { name: `${prefix}slow`, arguments: { ms: text.length * 20 }, _meta: { progressToken: 'same' } },
    });
    await Promise.all([first.post(callOf('one')), second.post(callOf('three'))]);
    const [one, two] = await Promise.all([first.answerTo('same'), second.answerTo('same')]);
    expect([one.result, two.result]).toMatchObject([
      { content: [{ text: 'took 60 ms' }] },
      { content: [{ text: 'took 100 ms' }] },
    ]);
    for (const { stream } of [first, second]) {
      expect(stream.messages.filter(({ method }) => method === 'notifications/progress').length).toBe(2);
      expect(stream.messages.filter(({ id }) => id === 'same').length).toBe(1);
    }
  });

  it('E11: the end of the stream ends the session and its upstream session; later POSTs are 404', async () => {
    const client = await SseClient.open(at());
    await client.initialized();
    await client.request('tools/call', { name: `${prefix}counter`, arguments: {} });
    const { deletes } = world.server.stats;
    client.stream.cut();
    await until(async () => (await client.post(request('ping'))).status === 404, { what: 'the session has ended' });
    await world.server.waitFor((stats) => stats.deletes > deletes);
  });

  it('E11: without Redis a Last-Event-ID opens a new session (D-3)', async () => {
    const client = await SseClient.open(at());
    const again = await ask('GET', at(), { ...STREAM, 'last-event-id': 'x.1' });
    open.push(again);
    const { data } = await again.block(({ event }) => event === 'endpoint', 'a new endpoint');
    expect(client.endpoint).not.toContain(String(data));
  });

  it('comments keep the stream open', async () => {
    const { stream } = await SseClient.open(at());
    await until(() => stream.blocks.filter(({ comment }) => comment !== undefined).length >= 2, { what: 'comments' });
  });

  it('initialize comes first, and once', async () => {
    const client = await SseClient.open(at());
    expect((await client.request('tools/list')).error?.message).toContain('initialize comes first');
    await client.initialized();
    expect((await client.request('initialize', { protocolVersion: '2024-11-05' })).error?.code).toBe(-32600);
    expect((await client.request('tools/list')).result).toBeDefined();
  });

  it('initialize without what it needs is an error on the stream', async () => {
    const client = await SseClient.open(at());
    expect((await client.request('initialize', {})).error).toMatchObject({ code: -32602 });
  });

  it('a session of streamable HTTP is none here, and the other way round (S-3)', async () => {
    const client = await SseClient.open(at());
    const id = new URL(client.endpoint).searchParams.get('sessionId') ?? '';
    const mcp = at().replace(/sse$/, 'mcp');
    const headers = { ...JSON_TYPE, accept: 'application/json, text/event-stream', 'mcp-session-id': id };
    expect((await askAll('POST', mcp, headers, request('ping'))).status).toBe(404);
    expect((await askAll('DELETE', mcp, headers)).status).toBe(404);
  });

  it('GET without Accept of event streams is 406; other methods are 404 or 405', async () => {
    const refused = await askAll('GET', at(), { accept: 'application/json' });
    expect([refused.status, codeOf(refused)]).toEqual([406, 'NOT_ACCEPTABLE']);
    for (const method of ['POST', 'PUT', 'DELETE', 'HEAD']) {
      expect([404, 405]).toContain((await askAll(method, at(), JSON_TYPE)).status);
    }
  });
});

it.each([
  ['an unknown id', randomUUID()],
  ['what is no id', 'nonsense'],
  ['dashes', '-'.repeat(36)],
])('/gateways/<%s>/sse is 404 with a JSON-RPC body, and leaves no session', async (_what, id) => {
  const before = world.replica.app.get(Sessions).size;
  const answer = await askAll('GET', `${world.replica.url}/gateways/${id}/sse`, STREAM);
  expect([answer.status, answer.headers['content-type'], codeOf(answer)]).toEqual([
    404,
    'application/json',
    'NOT_FOUND',
  ]);
  expect(world.replica.app.get(Sessions).size).toBe(before);
});

it.each(['/messages/', '/Messages'])('POST %s is the same route', async (path) => {
  const client = await SseClient.open(`${world.replica.url}/sse`);
  await client.initialized();
  const answer = await askAll('POST', client.endpoint.replace('/messages', path), JSON_TYPE, request('ping'));
  expect(answer.status).toBe(202);
});

describe('behind a path prefix (PUBLIC_URL)', () => {
  let replica: Replica;
  beforeAll(async () => {
    replica = await startReplica({
      DATABASE_URL: world.database.url,
      PUBLIC_URL: 'https://gw.example.org/mcp-gateway/',
    });
  });
  afterAll(() => replica.close());

  it('the endpoint carries it', async () => {
    const stream = await ask('GET', `${replica.url}/sse`, STREAM);
    open.push(stream);
    const { data } = await stream.block(({ event }) => event === 'endpoint', 'the endpoint');
    expect(data).toMatch(/^\/mcp-gateway\/messages\?sessionId=/);
  });
});
