import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startReplica } from '../support/replica.js';
import { until } from '../support/until.js';
import { expectProblem, freePort, GatewayWorld, pluck } from './gateways.support.js';

const world = new GatewayWorld();

beforeAll(() => world.open());
afterEach(() => world.reset());
afterAll(() => world.close());

describe('registering a server (SPEC G-2)', () => {
  it('connects, reads everything and answers with the record', async () => {
    const { mcpUrl } = await world.server({ name: 'demo-server', instructions: 'be kind' });
    const answer = await world.register({ name: 'Demo Server', url: mcpUrl, tags: ['x'], description: 'mine' });
    expect(answer.status).toBe(201);
    const { body } = answer;
    expect(answer.headers.get('location')).toBe(`/gateways/${body.id}`);
    expect(body).toMatchObject({
      ...{
        slug: 'demo-server',
        name: 'Demo Server',
        url: mcpUrl,
        transport: 'auto',
        resolvedTransport: 'streamablehttp',
      },
      ...{ description: 'mine', tags: ['x'], enabled: true, sessionPolicy: 'auto', auth: { type: 'none' }, tls: null },
      ...{ reachable: true, stateful: true, instructions: 'be kind', lastError: null, validationErrors: [] },
      serverInfo: { name: 'demo-server' },
      capabilities: { tools: expect.anything(), prompts: expect.anything(), resources: expect.anything() },
      counts: { resources: 2, resourceTemplates: 1, prompts: 2 },
    });
    expect(body.counts.tools).toBeGreaterThan(5);
    const { validationErrors: _, ...record } = body;
    expect((await world.rest('GET', `/gateways/${body.id}`)).body).toEqual(record);
    expect((await world.rest('GET', '/gateways?q=demo&tag=x')).body).toEqual({ items: [record] });
  });

  it.each([
    ['streamablehttp', 'mcpUrl', 'streamablehttp'],
    ['sse', 'sseUrl', 'sse'],
    ['auto', 'sseUrl', 'sse'],
  ] as const)('with transport %s at %s comes to %s (G-3)', async (transport, url, resolvedTransport) => {
    const upstream = await world.server();
    const answer = await world.register({ name: 'a', url: upstream[url], transport });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ transport, resolvedTransport, stateful: true, reachable: true });
  });

  it('a server with 1,200 tools over 12 pages is registered completely, and listed page by page', async () => {
    const upstream = await world.server({ tools: 1_200, baseTools: false, pageSize: 100 });
    const { body } = await world.register({ name: 'big', url: upstream.mcpUrl });
    expect(body.counts.tools).toBe(1_200);
    const names: string[] = [];
    let cursor = '';
    do {
      const page = await world.rest('GET', `/tools?limit=500&gateway=big${cursor && `&cursor=${cursor}`}`);
      names.push(...(pluck(page.body.items, 'name') as string[]));
      cursor = page.body.nextCursor ?? '';
    } while (cursor);
    expect(names).toEqual(Array.from({ length: 1_200 }, (_, i) => `big-tool_${String(i + 1).padStart(4, '0')}`));

    const listed: string[] = [];
    let next: string | undefined;
    do {
      const params = next === undefined ? {} : { cursor: next };
      const { body: page } = await world.rest('POST', '/rpc', { jsonrpc: '2.0', id: 1, method: 'tools/list', params });
      listed.push(...(pluck(page.result.tools, 'name') as string[]));
      next = page.result.nextCursor;
    } while (next !== undefined);
    expect(listed).toEqual(names);
  });

  it('skips and reports an invalid entry (G-5)', async () => {
    const upstream = await world.server({ listFault: { method: 'tools/list', page: 1, fault: 'invalid-entry' } });
    const { status, body } = await world.register({ name: 'odd', url: upstream.mcpUrl });
    expect(status).toBe(201);
    expect(body.validationErrors).toEqual([{ kind: 'tool', index: 1, reason: 'name is not a string' }]);
    expect(body.counts.tools).toBeGreaterThan(5);
  });

  it('leaves no session behind on the server', async () => {
    const upstream = await world.server();
    await world.register({ name: 'a', url: upstream.mcpUrl });
    await until(() => upstream.sessions().length === 0, { what: 'no session' });
    expect(upstream.stats.deletes).toBe(1);
  });
});

describe('secrets (SPEC S-4)', () => {
  it('are used upstream, and appear neither in answers nor in tables nor in the log', async () => {
    const upstream = await world.server();
    upstream.faults.authorization = 'Bearer very-secret-token';
    const url = `${upstream.mcpUrl}?apikey=query-secret`;
    const auth = { type: 'bearer', token: 'very-secret-token' };
    const answers = [await world.register({ name: 'a', url, auth })];
    expect(answers[0]?.status).toBe(201);
    expect(answers[0]?.body).toMatchObject({
      auth: { type: 'bearer', token: '***' },
      url: `${upstream.mcpUrl}?apikey=***`,
    });
    const { id } = answers[0]?.body ?? {};
    answers.push(await world.rest('GET', '/gateways'), await world.rest('GET', `/gateways/${id}`));
    answers.push(
      await world.rest('PATCH', `/gateways/${id}`, { auth: { type: 'headers', headers: { 'X-K': 'other-secret' } } }),
    );
    expect(answers.at(-1)?.status).toBe(502);
    const everything = JSON.stringify([answers.map(({ text }) => text), world.replica.logLines]);
    expect(everything).not.toMatch(/very-secret-token|query-secret|other-secret/);
    for (const table of ['gateways', 'capabilities']) {
      expect(JSON.stringify(await world.rowsOf(table))).not.toMatch(/very-secret-token|query-secret|other-secret/);
    }
    expect(await world.rowsOf('gateways')).toMatchObject([{ url: upstream.mcpUrl, url_sealed: expect.any(String) }]);
  });

  it('a change compares the whole URL, its query too', async () => {
    const upstream = await world.server();
    const url = `${upstream.mcpUrl}?apikey=query-secret`;
    const { body } = await world.register({ name: 'a', url });
    const before = upstream.stats.initialize;
    await world.rest('PATCH', `/gateways/${body.id}`, { url });
    expect(upstream.stats.initialize).toBe(before);
    const bare = await world.rest('PATCH', `/gateways/${body.id}`, { url: upstream.mcpUrl });
    expect([bare.body.url, upstream.stats.initialize]).toEqual([upstream.mcpUrl, before + 1]);
    const again = await world.rest('PATCH', `/gateways/${body.id}`, { url });
    expect([again.body.url, upstream.stats.initialize]).toEqual([`${upstream.mcpUrl}?apikey=***`, before + 2]);
  });

  it('with another ENCRYPTION_KEY the gateway is still seen, what is secret as unreadable, and can be mended', async () => {
    const upstream = await world.server();
    const url = `${upstream.mcpUrl}?apikey=query-secret`;
    const { body } = await world.register({ name: 'a', url, auth: { type: 'bearer', token: 't' } });
    const other = await world.another({ ENCRYPTION_KEY: Buffer.alloc(32, 9).toString('base64') });
    world.atEnd(() => other.close());
    const path = `/gateways/${body.id}`;
    expect((await world.rest('GET', path, undefined, other.url)).body).toMatchObject({
      ...{ url: `${upstream.mcpUrl}?***`, auth: { type: 'unreadable' }, tls: null },
    });
    const mended = await world.rest('PATCH', path, { url, auth: { type: 'none' } }, other.url);
    expect([mended.status, mended.body.url]).toEqual([200, `${upstream.mcpUrl}?apikey=***`]);
  });
});

describe('changing a gateway', () => {
  it('changes what is only a record without asking the server', async () => {
    const upstream = await world.server();
    const { body } = await world.register({ name: 'one', url: upstream.mcpUrl });
    const before = upstream.stats.initialize;
    const patch = { name: 'two', description: 'd', tags: ['t'], sessionPolicy: 'identity', url: upstream.mcpUrl };
    const answer = await world.rest('PATCH', `/gateways/${body.id}`, patch);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ ...patch, slug: 'one', counts: body.counts });
    expect(upstream.stats.initialize).toBe(before);
  });

  it('reads a server at another URL before it stores it, and keeps names handed out (G-4)', async () => {
    const [first, second] = [await world.server({ tools: 2 }), await world.server({ tools: 3 })];
    const { body } = await world.register({ name: 'one', url: first.mcpUrl });
    const echo = (await world.rest('GET', '/tools?q=echo')).body.items[0];
    const answer = await world.rest('PATCH', `/gateways/${body.id}`, { name: 'two', url: second.mcpUrl });
    expect(answer.body.counts.tools).toBe(body.counts.tools + 1);
    expect((await world.rest('GET', `/tools/${echo.id}`)).body).toMatchObject({
      name: 'one-echo',
      gateway: { name: 'two' },
    });

    const refused = await world.rest('PATCH', `/gateways/${body.id}`, {
      name: 'three',
      url: `http://127.0.0.1:${await freePort()}`,
    });
    expectProblem(refused, 502, 'UPSTREAM_UNAVAILABLE');
    expect((await world.rest('GET', `/gateways/${body.id}`)).body).toMatchObject({ name: 'two', url: second.mcpUrl });
  });

  it('a rotated credential is used from the next call on (P-16)', async () => {
    const upstream = await world.server();
    upstream.faults.authorization = 'Bearer one';
    const { body } = await world.register({ name: 'a', url: upstream.mcpUrl, auth: { type: 'bearer', token: 'one' } });
    const call = async (): Promise<unknown> => {
      const params = { name: 'a-echo', arguments: { text: 'hi' } };
      return (await world.rest('POST', '/rpc', { jsonrpc: '2.0', id: 1, method: 'tools/call', params })).body;
    };
    expect(await call()).toMatchObject({ result: { content: [{ text: 'hi' }] } });
    upstream.faults.authorization = 'Bearer two';
    const wrong = await world.rest('PATCH', `/gateways/${body.id}`, { auth: { type: 'bearer', token: 'three' } });
    expectProblem(wrong, 502, 'UPSTREAM_UNAUTHORIZED');
    await world.rest('PATCH', `/gateways/${body.id}`, { auth: { type: 'bearer', token: 'two' } });
    expect(await call()).toMatchObject({ result: { content: [{ text: 'hi' }] } });
  });

  it('switches gateways and tools off and on, and describes tools', async () => {
    const { mcpUrl } = await world.server();
    const { body } = await world.register({ name: 'a', url: mcpUrl });
    const echo = (await world.rest('GET', '/tools?q=echo')).body.items[0];
    const listed = async (): Promise<unknown> => {
      const { body: page } = await world.rest('POST', '/rpc', { jsonrpc: '2.0', id: 1, method: 'tools/list' });
      return (page.result.tools as { name: string }[]).find((tool) => tool.name === 'a-echo');
    };
    expect(await listed()).toMatchObject({ description: 'Answers with its text' });
    const changed = await world.rest('PATCH', `/tools/${echo.id}`, { description: 'Says it again' });
    expect(changed.body).toMatchObject({
      description: 'Says it again',
      definition: { description: 'Answers with its text' },
    });
    expect(await listed()).toMatchObject({ description: 'Says it again' });
    await world.rest('PATCH', `/tools/${echo.id}`, { enabled: false, description: null });
    expect(await listed()).toBeUndefined();
    await world.rest('PATCH', `/tools/${echo.id}`, { enabled: true });
    expect(await listed()).toMatchObject({ description: 'Answers with its text' });
    const state = await world.rest('POST', `/gateways/${body.id}/state`, { enabled: false });
    expect([state.status, state.body.enabled]).toEqual([200, false]);
    expect(await listed()).toBeUndefined();
  });

  it('removes a gateway with everything of it, once', async () => {
    const { mcpUrl } = await world.server();
    const { body } = await world.register({ name: 'a', url: mcpUrl });
    expect((await world.rest('DELETE', `/gateways/${body.id}`)).status).toBe(204);
    await world.expectNothingStored();
    for (const method of ['DELETE', 'GET'])
      expectProblem(await world.rest(method, `/gateways/${body.id}`), 404, 'NOT_FOUND');
    expectProblem(await world.rest('GET', '/gateways/not-an-id'), 404, 'NOT_FOUND');
  });
});

describe('lists of capabilities', () => {
  it('show definitions as they came, by filters and pages', async () => {
    const { mcpUrl } = await world.server();
    await world.register({ name: 'one', url: mcpUrl });
    await world.register({ name: 'two', url: mcpUrl });
    const resources = (await world.rest('GET', '/resources')).body.items;
    expect(pluck(resources, 'uri')).toEqual([
      ...['gw:two:test://static/one', 'gw:two:test://static/two', 'test://static/one', 'test://static/two'],
    ]);
    expect(resources[0]).toMatchObject({ originalUri: 'test://static/one', gateway: { slug: 'two' }, enabled: true });
    expect((await world.rest('GET', '/resource-templates?gateway=one')).body.items).toMatchObject([
      { uriTemplate: 'test://item/{id}', definition: { uriTemplate: 'test://item/{id}' } },
    ]);
    expect((await world.rest('GET', '/prompts?gateway=two&q=greet')).body.items).toMatchObject([
      { name: 'two-greet', originalName: 'greet', description: 'With one' },
    ]);
    const { body } = await world.rest('GET', '/prompts?limit=1');
    expect((await world.rest('GET', `/prompts?limit=3&cursor=${body.nextCursor}`)).body.items).toHaveLength(3);
  });

  it.each(['limit=0', 'limit=501', 'limit=ten', 'cursor=tampered', 'enabled=maybe', 'colour=red', 'q=%00'])(
    'refuse %s',
    async (query) => expectProblem(await world.rest('GET', `/tools?${query}`), 400, 'INVALID_PARAMS'),
  );

  it('an unknown route is a problem document too', async () => {
    const answer = await world.rest('GET', '/nowhere?key=geheim');
    expectProblem(answer, 404, 'NOT_FOUND');
    expect(answer.text).not.toContain('geheim');
  });
});

describe('?deferred=true (SPEC G-2)', () => {
  it('stores the gateway unreached and reads it as soon as the server is there', async () => {
    const upstream = await world.server();
    await upstream.stop();
    const answer = await world.register({ name: 'late', url: upstream.mcpUrl }, '?deferred=true');
    expect([answer.status, answer.body.reachable, answer.body.counts.tools]).toEqual([201, false, 0]);
    const path = `/gateways/${answer.body.id}`;
    await until(async () => (await world.rest('GET', path)).body.lastError?.reason === 'refused', {
      what: 'the reason',
    });
    await upstream.start();
    await until(async () => !!(await world.rest('GET', path)).body.reachable, { what: 'reachable', timeoutMs: 10_000 });
    expect((await world.rest('GET', path)).body).toMatchObject({
      lastError: null,
      resolvedTransport: 'streamablehttp',
    });
    expect((await world.rest('GET', '/tools?q=echo')).body.items).toMatchObject([{ name: 'late-echo' }]);
  });

  it('goes on after a restart of the service, and ends when the gateway is removed', async () => {
    const upstream = await world.server();
    await upstream.stop();
    const { body } = await world.register({ name: 'late', url: upstream.mcpUrl }, '?deferred=true');
    const gone = await world.register({ name: 'gone', url: upstream.mcpUrl }, '?deferred=true');
    await world.rest('DELETE', `/gateways/${gone.body.id}`);
    await upstream.start();
    await world.restart();
    const path = `/gateways/${body.id}`;
    await until(async () => !!(await world.rest('GET', path)).body.reachable, { what: 'reachable', timeoutMs: 10_000 });
    expect(upstream.stats.initialize).toBe(1);
  });
});

describe('MCPGATEWAY_ADMIN_API_ENABLED=false', () => {
  it('every changing route is 404, reading goes on', async () => {
    const { mcpUrl } = await world.server();
    const { body } = await world.register({ name: 'a', url: mcpUrl });
    const tool = (await world.rest('GET', '/tools?q=echo')).body.items[0];
    const env = { MCPGATEWAY_ADMIN_API_ENABLED: 'false' };
    const other = await world.another(env);
    world.atEnd(() => other.close());
    const changes: [string, string, unknown?][] = [
      ['POST', '/gateways', { name: 'b', url: mcpUrl }],
      ['PATCH', `/gateways/${body.id}`, { description: 'x' }],
      ['POST', `/gateways/${body.id}/state`, { enabled: false }],
      ['DELETE', `/gateways/${body.id}`],
      ['PATCH', `/tools/${tool.id}`, { enabled: false }],
    ];
    for (const [method, path, input] of changes) {
      expectProblem(await world.rest(method, path, input, other.url), 404, 'NOT_FOUND');
    }
    expect((await world.rest('GET', `/gateways/${body.id}`, undefined, other.url)).body.name).toBe('a');
  });
});

describe('AUTH_MODE=jwt', () => {
  it('refuses with a challenge', async () => {
    const env = { AUTH_MODE: 'jwt', JWT_SECRET: 's'.repeat(32) };
    const other = await world.another(env);
    world.atEnd(() => other.close());
    const answer = await world.rest('GET', '/gateways', undefined, other.url);
    expectProblem(answer, 401, 'UNAUTHORIZED');
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });
});

describe('/openapi.json', () => {
  it('describes what is accepted and answered', async () => {
    const { body } = await world.rest('GET', '/openapi.json');
    const post = body.paths['/gateways'].post;
    expect(post.requestBody.content['application/json'].schema).toMatchObject({
      required: expect.arrayContaining(['name', 'url']),
      properties: { name: { pattern: expect.any(String) }, auth: { oneOf: expect.any(Array) } },
    });
    expect(Object.keys(post.responses)).toEqual(expect.arrayContaining(['201', '400', '409', '413', '502']));
    expect(pluck(body.paths['/tools'].get.parameters, 'name')).toEqual([
      ...['limit', 'cursor', 'gateway', 'enabled', 'q'],
    ]);
  });
});

describe('on the embedded database', () => {
  it('a gateway and its tools are still there after a restart', async () => {
    const upstream = await world.server();
    const DATA_DIR = await mkdtemp(join(tmpdir(), 'gateways-'));
    world.atEnd(() => rm(DATA_DIR, { recursive: true, force: true }));
    const first = await startReplica({ DATA_DIR });
    const auth = { type: 'bearer', token: 'kept' };
    const { body } = await world.rest('POST', '/gateways', { name: 'a', url: upstream.mcpUrl, auth }, first.url);
    await first.close();

    upstream.faults.authorization = 'Bearer kept';
    const second = await startReplica({ DATA_DIR });
    world.atEnd(() => second.close());
    const again = await world.rest('GET', `/gateways/${body.id}`, undefined, second.url);
    expect({ ...again.body, validationErrors: [] }).toEqual(body);
    const call = { method: 'tools/call', params: { name: 'a-echo', arguments: { text: 'still here' } } };
    const answer = await world.rest('POST', '/rpc', { jsonrpc: '2.0', id: 1, ...call }, second.url);
    expect(answer.body).toMatchObject({ result: { content: [{ text: 'still here' }] } });
  });
});
