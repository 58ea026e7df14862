import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { post, request } from '../support/rpc.js';
import { expectProblem, GatewayWorld } from './gateways.support.js';

const world = new GatewayWorld();
const NOBODY = '00000000-0000-4000-8000-000000000000';

beforeAll(() => world.open());
afterAll(() => world.close());
afterEach(() => world.reset());

type Entry = Record<string, string>;
interface Case {
  /** Of REST. */
  readonly path: string;
  readonly name: string;
  readonly list: readonly [method: string, member: string];
  readonly use: readonly [method: string, params: unknown];
  readonly code: number;
  readonly reason: string;
}

const CASES: readonly Case[] = [
  {
    ...{ path: 'tools', name: 'one-echo', list: ['tools/list', 'tools'] },
    ...{ use: ['tools/call', { name: 'one-echo', arguments: { text: 'x' } }], code: -32602, reason: 'TOOL_DISABLED' },
  },
  {
    ...{ path: 'resources', name: 'test://static/one', list: ['resources/list', 'resources'] },
    ...{ use: ['resources/read', { uri: 'test://static/one' }], code: -32002, reason: 'RESOURCE_DISABLED' },
  },
  {
    ...{ path: 'resource-templates', name: 'test://item/{id}' },
    ...{ list: ['resources/templates/list', 'resourceTemplates'] },
    ...{ use: ['resources/read', { uri: 'test://item/7' }], code: -32002, reason: 'RESOURCE_DISABLED' },
  },
  {
    ...{ path: 'prompts', name: 'one-hello', list: ['prompts/list', 'prompts'] },
    ...{ use: ['prompts/get', { name: 'one-hello' }], code: -32602, reason: 'PROMPT_DISABLED' },
  },
];

const rpc = (method: string, params?: unknown) => post(`${world.replica.url}/rpc`, request(method, params));
const nameIn = (entry: Entry): string | undefined => entry['uri'] ?? entry['uriTemplate'] ?? entry['name'];

/** The entry as clients see it. */
async function entryOf({ list: [method, member], name }: Case): Promise<Entry | undefined> {
  const entries = (await rpc(method)).json.result?.[member] as Entry[];
  return entries.find((entry) => nameIn(entry) === name);
}

describe.each(CASES)('GET and PATCH /$path/:id (SPEC G-5)', (one) => {
  const { path, name, use, code, reason } = one;
  const find = async (): Promise<Entry> => {
    const { items } = (await world.rest('GET', `/${path}?limit=500`)).body as { items: Entry[] };
    return items.find((entry) => nameIn(entry) === name) ?? {};
  };

  it('shows one, gives it a description, and takes that back', async () => {
    const upstream = await world.server();
    await world.register({ name: 'one', url: upstream.mcpUrl });
    const { id, description: own } = await find();
    expect((await world.rest('GET', `/${path}/${id}`)).body).toEqual(await find());
    const patched = await world.rest('PATCH', `/${path}/${id}`, { description: 'better' });
    expect([patched.status, patched.body.description]).toEqual([200, 'better']);
    expect((await entryOf(one))?.['description']).toBe('better');
    await world.rest('PATCH', `/${path}/${id}`, { description: null });
    expect((await entryOf(one))?.['description']).toBe(own);
  });

  it('switched off it is in no list, and its use says so', async () => {
    const upstream = await world.server();
    const gateway = await world.register({ name: 'one', url: upstream.mcpUrl });
    const { id } = await find();
    expect((await rpc(...use)).json.result).toBeDefined();
    expect((await world.rest('PATCH', `/${path}/${id}`, { enabled: false })).body.enabled).toBe(false);
    expect(await entryOf(one)).toBeUndefined();
    const refused = (await rpc(...use)).json.error;
    expect(refused).toMatchObject({ code, data: { code: reason } });
    expect(refused?.message).toMatch(/is disabled by the administrator/);
    await world.rest('PATCH', `/${path}/${id}`, { enabled: true });
    expect((await rpc(...use)).json.result).toBeDefined();

    const state = await world.rest('POST', `/gateways/${gateway.body.id}/state`, { enabled: false });
    expect([state.status, state.body.enabled]).toEqual([200, false]);
    expect(await entryOf(one)).toBeUndefined();
    expect((await rpc(...use)).json.error).toMatchObject({ data: { code: 'GATEWAY_DISABLED' } });
    await world.rest('POST', `/gateways/${gateway.body.id}/state`, { enabled: true });
    expect((await rpc(...use)).json.result).toBeDefined();
  });

  it('refuses what is not known, and ids of nothing or of another kind', async () => {
    const upstream = await world.server();
    await world.register({ name: 'one', url: upstream.mcpUrl });
    const { id } = await find();
    expectProblem(await world.rest('PATCH', `/${path}/${id}`, { enabled: 1, name: 'x' }), 400, 'INVALID_PARAMS');
    for (const other of [NOBODY, 'none']) {
      expectProblem(await world.rest('GET', `/${path}/${other}`), 404, 'NOT_FOUND');
      expectProblem(await world.rest('PATCH', `/${path}/${other}`, { enabled: false }), 404, 'NOT_FOUND');
    }
    const elsewhere = path === 'tools' ? 'prompts' : 'tools';
    expectProblem(await world.rest('PATCH', `/${elsewhere}/${id}`, { enabled: false }), 404, 'NOT_FOUND');
    expect((await find())['enabled']).toBe(true);
  });
});

it('the documentation has every route once, under a name of its own', async () => {
  const { paths } = (await world.rest('GET', '/openapi.json')).body as {
    paths: Record<string, Record<string, { operationId: string }>>;
  };
  for (const path of ['tools', 'resources', 'resource-templates', 'prompts', 'servers']) {
    expect(Object.keys(paths[`/${path}`] ?? {})).toContain('get');
    expect(Object.keys(paths[`/${path}/{id}`] ?? {})).toEqual(expect.arrayContaining(['get', 'patch']));
  }
  const ids = Object.values(paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId));
  expect(ids.filter((operationId, at) => ids.indexOf(operationId) !== at)).toEqual([]);
});
