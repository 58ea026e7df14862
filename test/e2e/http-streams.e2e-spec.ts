import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Sessions } from '../../src/downstream/session/sessions.js';
import { type Block, type Message } from '../support/raw-http.js';
import { request } from '../support/rpc.js';
import { until } from '../support/until.js';
import { type EdgeWorld, HttpClient, startEdge } from './edge-world.support.js';

/** PROTOCOL §5.1, the event streams (G, R, C and the lines without an id). */
let world: EdgeWorld;

beforeAll(async () => {
  world = await startEdge(
    { SSE_AFTER_MS: '200', SSE_KEEPALIVE_SECONDS: '0.2', STREAM_MAX_BUFFERED_BYTES: '65536' },
    { eventStore: true, retryMs: 400 },
  );
});

afterAll(() => world.close());

const isProgress = ({ method }: { method?: string }): boolean => method === 'notifications/progress';
const hasId = (block: Block): boolean => block.id !== undefined;

describe.each([
  ['/mcp', () => `${world.replica.url}/mcp`, 'demo-'],
  ['/gateways/:id/mcp', () => `${world.replica.url}/gateways/${world.gatewayId}/mcp`, ''],
])('%s, PROTOCOL §5.1', (_name, at, prefix) => {
  let client: HttpClient;
  beforeEach(async () => {
    client = await HttpClient.open(at());
  });

  it('P5: the stream of an answer ends after the response', async () => {
    const answer = await client.call(`${prefix}slow`, { ms: 60, steps: 2 }, 'token');
    expect(answer.headers['content-type']).toBe('text/event-stream');
    expect(await answer.end()).toBe('complete');
    expect(answer.messages.map(({ method }) => method ?? 'response')).toEqual([
      'notifications/progress',
      'notifications/progress',
      'response',
    ]);
  });

  it('D-9: a fast call without interim messages is answered as JSON, one that takes SSE_AFTER_MS as a stream', async () => {
    const fast = await client.call(`${prefix}echo`, { text: 'x' });
    expect(fast.headers['content-type']).toBe('application/json');
    const slow = await client.call(`${prefix}gate`);
    expect(slow.headers['content-type']).toBe('text/event-stream');
    world.server.openGate();
    expect(await slow.end()).toBe('complete');
    expect(slow.messages).toMatchObject([{ result: { content: [{ text: 'through' }] } }]);
  });

  it('G1: GET is an event stream; G2: it never carries responses to other requests', async () => {
    const standing = await client.listen();
    expect([standing.status, standing.headers['content-type']]).toEqual([200, 'text/event-stream']);
    const calls = [
      await client.call(`${prefix}echo`, { text: 'x' }),
      await client.call(`${prefix}slow`, { ms: 20 }, 't'),
    ];
    await Promise.all(calls.map((call) => call.end()));
    await standing.block(({ comment }) => comment !== undefined, 'a comment');
    expect(standing.messages).toEqual([]);
    standing.cut();
  });

  it('G3: caches and proxies leave it alone, and comments keep it open', async () => {
    const standing = await client.listen();
    expect(standing.headers).toMatchObject({ 'x-accel-buffering': 'no' });
    expect(standing.headers['cache-control']).toContain('no-cache');
    await until(() => standing.blocks.filter(({ comment }) => comment !== undefined).length >= 3, {
      what: 'three comments',
    });
    standing.cut();
  });

  it('G3: so they do the stream of a silent call', async () => {
    const call = await client.call(`${prefix}gate`);
    await call.block(({ comment }) => comment !== undefined, 'a comment');
    world.server.openGate();
    await call.end();
  });

  it.each([
    ['2025-11-25', true],
    ['2025-06-18', false],
    ['2025-03-26', false],
  ])('R1: the stream of a POST on %s begins with an id and empty data: %s', async (version, primed) => {
    const own = await HttpClient.open(at(), { version });
    const answer = await own.call(`${prefix}slow`, { ms: 20 }, 't');
    await answer.end();
    const [first] = answer.blocks;
    if (primed) expect(first).toEqual({ id: expect.any(String), data: '' });
    else expect(first?.data).toContain('notifications/progress');
  });

  it('R2: event ids are unique over all streams of a session and say which stream they belong to', async () => {
    const standing = await client.listen();
    const calls = await Promise.all([1, 2, 3].map((token) => client.call(`${prefix}slow`, { ms: 40 }, token)));
    await Promise.all(calls.map((call) => call.end()));
    await world.server.broadcast({ method: 'notifications/message', params: { level: 'error', data: 'x' } });
    const streams = [...calls, standing].map(({ blocks }) => blocks.filter(hasId).map(({ id }) => String(id)));
    const all = streams.flat();
    expect(all.length).toBeGreaterThanOrEqual(12);
    expect(new Set(all).size).toBe(all.length);
    const names = streams.slice(0, 3).map((ids) => new Set(ids.map((id) => id.split('.')[0])));
    expect(names.map((of) => of.size)).toEqual([1, 1, 1]);
    expect(new Set(names.flatMap((of) => [...of])).size).toBe(3);
    standing.cut();
  });

  it('R3: GET with Last-Event-ID brings the rest of that stream only, each event once, in order', async () => {
    const cut = await client.call(`${prefix}slow`, { ms: 600, steps: 6 }, 'mine');
    const other = await client.call(`${prefix}slow`, { ms: 300, steps: 3 }, 'other');
    await until(() => cut.messages.filter(isProgress).length >= 2, { what: 'two events' });
    const seen = cut.blocks.filter(({ id, data }) => id !== undefined && data !== '');
    cut.cut();
    const rest = await client.listen(seen.at(-1)?.id);
    expect(rest.status).toBe(200);
    expect(await rest.end()).toBe('complete');
    await other.end();
    const steps = [...seen.map(({ data }) => JSON.parse(String(data)) as Message), ...rest.messages];
    expect(steps.filter(isProgress).map(({ params }) => [params?.['progressToken'], params?.['progress']])).toEqual(
      [1, 2, 3, 4, 5, 6].map((n) => ['mine', n]),
    );
    expect(rest.messages.at(-1)?.result).toBeDefined();
    expect(other.messages.filter(isProgress).length).toBe(3);
  });

  it.each([['zz.1'], ['0.99999'], ['no-id-of-ours'], ['a'.repeat(300)]])(
    'R3: Last-Event-ID %s, of no stream of this session, is 400',
    async (id) => {
      const answer = await client.listen(id);
      expect(answer.status).toBe(400);
      await answer.end();
      expect(answer.messages[0]?.error?.code).toBe(-32600);
    },
  );

  it('R3: nobody reads the events of another session', async () => {
    const other = await HttpClient.open(at());
    const call = await client.call(`${prefix}slow`, { ms: 40, steps: 2 }, 't');
    await call.end();
    const [primer] = call.blocks;
    const answer = await other.listen(primer?.id);
    expect(answer.status).toBe(400);
  });

  it('C1: a dropped connection cancels neither session nor request; only notifications/cancelled does', async () => {
    const { cancelled } = world.server.stats;
    const call = await client.call(`${prefix}gate`);
    const primer = await call.block(hasId, 'the first event');
    call.cut();
    const again = await client.listen(primer.id);
    world.server.openGate();
    const answer = await again.message(({ result }) => result !== undefined, 'the result');
    expect(answer.result).toMatchObject({ content: [{ text: 'through' }] });
    expect(world.server.stats.cancelled).toBe(cancelled);

    const second = await client.call(`${prefix}gate`, {}, undefined, 'to-cancel');
    await world.server.waitFor(({ atGate }) => atGate === 1);
    await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'to-cancel' } });
    expect(await second.end()).toBe('complete');
    expect(second.messages).toEqual([]);
    await world.server.waitFor((stats) => stats.atGate === 0 && stats.cancelled === cancelled + 1);
  });

  it('no message comes on two streams; what belongs to a call comes on its own, not on GET', async () => {
    const standing = await client.listen();
    const calls = await Promise.all([1, 2].map((token) => client.call(`${prefix}slow`, { ms: 60, steps: 3 }, token)));
    await Promise.all(calls.map((call) => call.end()));
    expect(
      calls.map(({ messages }) => messages.filter(isProgress).map(({ params }) => params?.['progressToken'])),
    ).toEqual([
      [1, 1, 1],
      [2, 2, 2],
    ]);
    expect(standing.messages).toEqual([]);
    standing.cut();
  });

  it('a question of the server during a call comes on the stream of that call, and its answer goes back', async () => {
    const asked = await HttpClient.open(at(), { capabilities: { elicitation: {} } });
    const standing = await asked.listen();
    const call = await asked.call(`${prefix}ask`, { message: 'well?' });
    const question = await call.message(({ method }) => method === 'elicitation/create', 'the question');
    const result = { action: 'accept', content: { answer: 'yes' } };
    expect((await asked.post({ jsonrpc: '2.0', id: question.id, result })).status).toBe(202);
    await call.end();
    expect(JSON.stringify(call.messages.at(-1)?.result)).toContain('yes');
    expect(standing.messages).toEqual([]);
    standing.cut();
  });

  it('a new standing stream replaces the one before; what came between is on it', async () => {
    const first = await client.listen();
    const second = await client.listen();
    expect(await first.end()).toBe('complete');
    second.cut();
    const session = sessionOf(client);
    await until(() => !session.standing.attached, { what: 'the stream is gone' });
    session.notify(Buffer.from('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'));
    const third = await client.listen();
    await third.message(({ method }) => method === 'notifications/tools/list_changed', 'what came meanwhile');
    third.cut();
  });

  it('STREAM_MAX_BUFFERED_BYTES: a reader that does not read is cut off, the session goes on', async () => {
    const standing = await client.listen();
    standing.pause();
    const session = sessionOf(client);
    const frame = Buffer.from(JSON.stringify({ jsonrpc: '2.0', method: 'x', params: { fill: 'y'.repeat(60_000) } }));
    await until(
      () => {
        session.notify(frame);
        return !session.standing.attached;
      },
      { what: 'it is cut off' },
    );
    standing.resume();
    expect(await standing.end()).toBe('cut off');
    expect((await client.post(request('ping'))).status).toBe(200);
  });

  it('an answer far above STREAM_MAX_BUFFERED_BYTES reaches who does read, as JSON and as an event', async () => {
    const bytes = 12_000_000; // more than the kernel's buffers take at once
    world.server.faults.rawResult = { tool: 'add', json: `{"content":[],"fill":"${'z'.repeat(bytes)}"}` };
    const json = await client.call(`${prefix}add`);
    const older = await HttpClient.open(at(), { version: '2025-03-26' });
    const batch = await older.post([request('tools/call', { name: `${prefix}add`, arguments: {} })]);
    expect([await json.end(), await batch.end()]).toEqual(['complete', 'complete']);
    expect([json.headers['content-type'], batch.headers['content-type']]).toEqual([
      'application/json',
      'text/event-stream',
    ]);
    for (const { text } of [json, batch]) expect(text.length).toBeGreaterThan(bytes);
    delete world.server.faults.rawResult;
  });

  it('404 from upstream: the gateway initializes anew without the id, and the call is answered', async () => {
    await (await client.call(`${prefix}echo`, { text: 'before' })).end();
    const { initialize } = world.server.stats;
    world.server.dropSessions();
    const answer = await client.call(`${prefix}echo`, { text: 'after' });
    await answer.end();
    expect(answer.messages.at(-1)?.result).toMatchObject({ content: [{ text: 'after' }] });
    expect(world.server.stats.initialize).toBe(initialize + 1);
  });

  it('retry from upstream: the gateway waits that long before it takes a stream up again', async () => {
    const call = await client.call(`${prefix}gate`, {}, 't');
    await call.message(isProgress, 'the call is at its gate');
    const { resumed } = world.server.stats;
    const cutAt = performance.now();
    world.server.cutStreams('post');
    await world.server.waitFor((stats) => stats.resumed > resumed);
    expect(performance.now() - cutAt).toBeGreaterThanOrEqual(390);
    world.server.openGate();
    expect(await call.end()).toBe('complete');
    expect(call.messages.at(-1)?.result).toMatchObject({ content: [{ text: 'through' }] });
  });
});

function sessionOf(client: HttpClient) {
  const id = client.headers['mcp-session-id'] ?? '';
  return world.replica.app.get(Sessions).get(id, undefined);
}
