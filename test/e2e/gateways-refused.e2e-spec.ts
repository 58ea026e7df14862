import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startReplica } from '../support/replica.js';
import { post } from '../support/rpc.js';
import { createDatabase } from '../support/services.js';
import { expectProblem, freePort, GatewayWorld, MAX_BODY_BYTES, pluck } from './gateways.support.js';

const world = new GatewayWorld();

beforeAll(() => world.open());
afterEach(() => world.reset());
afterAll(() => world.close());

describe('what cannot be registered is refused with a reason, and nothing is stored', () => {
  it('a URL that refuses connections', async () => {
    const answer = await world.register({ name: 'a', url: `http://127.0.0.1:${await freePort()}/mcp?key=geheim` });
    expectProblem(answer, 502, 'UPSTREAM_UNAVAILABLE');
    expect(answer.body).toMatchObject({ reason: 'refused', retryable: true });
    expect(answer.text).not.toContain('geheim');
    await world.expectNothingStored();
  });

  it('a host name that does not exist', async () => {
    const answer = await world.register({ name: 'a', url: 'http://no-such-host.invalid/mcp' });
    expect(answer.status).toBe(502);
    expect(answer.body.reason).toBe('dns');
    await world.expectNothingStored();
  });

  it.each([
    ['an HTML page', 'html', 'UPSTREAM_NOT_MCP', 'not-mcp'],
    ['a server that says 404 to everything', 404, 'UPSTREAM_NOT_MCP', 'not-mcp'],
    ['a server that wants credentials', 401, 'UPSTREAM_UNAUTHORIZED', 'unauthorized'],
  ] as const)('%s', async (_what, fault, code, reason) => {
    const upstream = await world.server();
    upstream.faults.answer = fault;
    const answer = await world.register({ name: 'a', url: upstream.mcpUrl });
    expectProblem(answer, 502, code);
    expect(answer.body.reason).toBe(reason);
    await world.expectNothingStored();
  });

  it('a server that hangs', async () => {
    const upstream = await world.server();
    upstream.faults.stall = 'all';
    const answer = await world.register({ name: 'a', url: upstream.mcpUrl });
    expectProblem(answer, 502, 'UPSTREAM_UNAVAILABLE');
    expect(answer.body.reason).toBe('timeout');
    await world.expectNothingStored();
  });

  it.each(['error', 'repeat-cursor'] as const)('a server of which one list fails (%s)', async (fault) => {
    const upstream = await world.server({ listFault: { method: 'prompts/list', page: 1, fault } });
    const answer = await world.register({ name: 'a', url: upstream.mcpUrl });
    expectProblem(answer, 502, 'UPSTREAM_PROTOCOL');
    expect(answer.body.lists).toEqual([expect.objectContaining({ list: 'prompts/list' })]);
    await world.expectNothingStored();
  });

  it('a server that hangs for longer than everything may take (a small CALL_TIMEOUT_SECONDS)', async () => {
    const upstream = await world.server();
    upstream.faults.stall = 'all';
    const database = await createDatabase();
    const hurried = await startReplica({ DATABASE_URL: database.url, CALL_TIMEOUT_SECONDS: '0.3' });
    const answer = await post(`${hurried.url}/gateways`, { name: 'a', url: upstream.mcpUrl });
    expect([answer.status, (answer.json as { reason?: string }).reason]).toEqual([502, 'timeout']);
    await hurried.close();
    await database.drop();
  });

  it('a server that hangs in a list', async () => {
    const upstream = await world.server();
    upstream.faults.stall = 'resources/list';
    const answer = await world.register({ name: 'a', url: upstream.mcpUrl });
    expectProblem(answer, 502, 'UPSTREAM_UNAVAILABLE');
    expect(answer.body.detail).toContain('resources/list');
    await world.expectNothingStored();
  });

  it('bad input, with every problem listed', async () => {
    const answer = await world.register({
      name: '-bad name!',
      url: 'http://user:pw@host/mcp',
      transport: 'carrier-pigeon',
      description: 'x'.repeat(1_001),
      tags: ['ok', 7],
      auth: { type: 'headers', headers: { 'X-Key': 'a\r\nb', Connection: 'close', 'Mcp-Session-Id': 'x' } },
      tls: { cert: 'PEM' },
      passthroughHeaders: ['authorization', 'x y'],
      colour: 'red',
    });
    expectProblem(answer, 400, 'INVALID_PARAMS');
    expect(pluck(answer.body.problems, 'path').sort()).toEqual([
      ...['auth.headers.Connection', 'auth.headers.Mcp-Session-Id', 'auth.headers.X-Key', 'colour', 'description'],
      ...['name', 'passthroughHeaders.0', 'passthroughHeaders.1', 'tags.1', 'tls', 'transport', 'url'],
    ]);
    expect(answer.text).not.toContain('pw@');
    await world.expectNothingStored();
  });

  it.each([
    [{}, ['name', 'url']],
    [{ name: 'a', url: 'ftp://h/x' }, ['url']],
    [{ name: 'a', url: 'http://h', auth: { type: 'magic' } }, ['auth.type']],
    [{ name: 'a', url: 'http://h', auth: { type: 'bearer', token: '***' } }, ['auth.token']],
    [{ name: 'a', url: 'http://h?key=***' }, ['url']],
    [[], ['']],
    [undefined, ['']],
  ])('bad input %j', async (body, paths) => {
    const answer = await world.register(body);
    expectProblem(answer, 400, 'INVALID_PARAMS');
    expect(pluck(answer.body.problems, 'path')).toEqual(paths);
  });

  it('a name that is taken, before anything is connected', async () => {
    const upstream = await world.server();
    await world.register({ name: 'a', url: upstream.mcpUrl });
    const before = upstream.stats.initialize;
    expectProblem(await world.register({ name: 'a', url: upstream.mcpUrl }), 409, 'CONFLICT');
    expect(upstream.stats.initialize).toBe(before);
    expect(await world.rowsOf('gateways')).toHaveLength(1);
  });

  it('of two registrations of one name at the same time, one', async () => {
    const { mcpUrl } = await world.server();
    const answers = await Promise.all([1, 2, 3].map(() => world.register({ name: 'a', url: mcpUrl })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    expect(await world.rowsOf('gateways')).toHaveLength(1);
  });

  it('a body that is not JSON', async () => {
    const answer = await world.register('{"name": "geheim');
    expectProblem(answer, 400, 'PARSE_ERROR');
    expect(answer.text).not.toContain('geheim');
    await world.expectNothingStored();
  });

  it('a body over the limit', async () => {
    const answer = await world.register({ name: 'a', url: 'http://h', description: 'x'.repeat(MAX_BODY_BYTES) });
    expectProblem(answer, 413, 'PAYLOAD_TOO_LARGE');
    expect(answer.body.limit).toBe(MAX_BODY_BYTES);
    await world.expectNothingStored();
  });
});
