import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { listOf, NO_REFRESH, openCatalogueDatabase, readingOf, SPEC } from '../../../test/support/catalogue.js';
import { until } from '../../../test/support/until.js';
import { CodedError } from '../../common/errors.js';
import { SecretBox } from '../../common/secret-box.js';
import { type Database } from '../../database/database.js';
import { type CapabilityKind, CatalogueService, type ServerChange, type ServerItemSpec } from '../index.js';

describe.each(['postgres', 'embedded'] as const)('VirtualServers on %s (SPEC G-9)', (kind) => {
  const cleanups: (() => Promise<unknown>)[] = [];
  const heard: ServerChange[] = [];
  let database: Database;
  let catalogue: CatalogueService;
  let statements = 0;

  beforeAll(async () => {
    database = await openCatalogueDatabase(kind, (cleanup) => void cleanups.push(cleanup));
    const { dataSource } = database;
    catalogue = new CatalogueService({
      ...NO_REFRESH,
      database: dataSource,
      secretBox: new SecretBox([randomBytes(32).toString('base64')]),
      separator: '-',
      sessions: { evictGateway: () => undefined },
    });
    catalogue.servers.changes.subscribe((change) => void heard.push(change));
    const connect = dataSource.createQueryRunner.bind(dataSource);
    dataSource.createQueryRunner = (mode) => {
      statements += 1;
      return connect(mode);
    };
  });

  afterEach(async () => {
    for (const { record } of (await catalogue.servers.list({ limit: 500 })).items)
      await catalogue.servers.remove(record.id);
    for (const { record } of (await catalogue.list({ limit: 500 })).items) await catalogue.remove(record.id);
    heard.length = 0;
  });

  afterAll(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const reading = readingOf({
    tool: listOf('{"name":"a", "n":1.0}', '{"name":"b"}', '{"name":"hello"}'),
    resource: listOf('{"uri":"file:///a","name":"a"}', '{"uri":"item://1","name":"1"}'),
    resource_template: listOf('{"uriTemplate":"item://{id}","name":"t"}'),
    prompt: listOf('{"name":"hello"}'),
  });
  const register = async (name: string): Promise<string> =>
    (await catalogue.register({ ...SPEC, name }, reading)).record.id;
  const create = async (...items: ServerItemSpec[]): Promise<string> => {
    const spec = { name: 'mine', description: null, enabled: true, items };
    return (await catalogue.servers.create(spec)).record.id;
  };
  const problemsOf = async (...items: ServerItemSpec[]): Promise<unknown> => {
    const error = await create(...items).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CodedError);
    expect((error as CodedError).code).toBe('INVALID_PARAMS');
    return (error as CodedError).options.details?.problems;
  };
  const names = async (id: string, of: CapabilityKind): Promise<unknown[]> => {
    const { items } = await catalogue.servers.view(id).listPage(of, { limit: 50 });
    return items.map((item) => {
      const { name, uri, uriTemplate } = JSON.parse(item.toString()) as Record<string, string>;
      return uri ?? uriTemplate ?? name;
    });
  };
  const publish = (of: CapabilityKind, name: string): Promise<string> =>
    catalogue.listCapabilities(of, { limit: 50 }).then(({ items }) => {
      const found = items.find(({ publicName }) => publicName === name);
      if (!found) throw new Error(`no ${of} ${name}`);
      return found.id;
    });

  it('shows exactly what is selected, under the public or the chosen names, other bytes untouched (D-7)', async () => {
    await register('one');
    const id = await create(
      { capability: await publish('tool', 'one-a'), name: 'Z_first' },
      { capability: 'one-b' },
      { capability: 'one-hello', kind: 'prompt', name: 'hi' },
      { capability: 'file:///a' },
    );
    expect(await names(id, 'tool')).toEqual(['Z_first', 'one-b']);
    expect(await names(id, 'prompt')).toEqual(['hi']);
    expect(await names(id, 'resource')).toEqual(['file:///a']);
    expect(await names(id, 'resource_template')).toEqual([]);
    const view = catalogue.servers.view(id);
    const page = await view.listPage('tool', { limit: 1 });
    expect(page.items.map(String)).toEqual(['{"name":"Z_first", "n":1.0}']);
    const next = await view.listPage('tool', { limit: 1, cursor: page.nextCursor ?? '' });
    expect(next.items.map(String)).toEqual(['{"name":"one-b"}']);
    expect(await view.findTool('Z_first')).toMatchObject({ kind: 'found', entry: { originalName: 'a' } });
    expect(await view.findPrompt('hi')).toMatchObject({ kind: 'found', entry: { originalName: 'hello' } });
    for (const name of ['one-a', 'a', 'one-hello', '\0', ''])
      expect(await view.findTool(name)).toEqual({ kind: 'missing' });
    expect(await view.findResource('item://1')).toEqual({ kind: 'missing' });
    expect(await view.findTemplate('item://{id}')).toEqual({ kind: 'missing' });
  });

  it('a template makes readable what it stands for, and nothing that is disabled (G-4)', async () => {
    await register('one');
    await register('two');
    const id = await create({ capability: 'gw:two:item://{id}' });
    const view = catalogue.servers.view(id);
    const entry = { originalUri: 'item://7', publicUri: 'gw:two:item://7', gateway: { name: 'two' } };
    expect(await view.findResource('gw:two:item://7')).toMatchObject({ kind: 'found', entry });
    expect(await view.findResource('item://7')).toEqual({ kind: 'missing' });
    expect(await view.findTemplate('gw:two:item://{id}')).toMatchObject({ kind: 'found' });
    expect(await view.findResource('gw:two:item://1')).toMatchObject({ kind: 'found' });
    await catalogue.editCapability('resource', await publish('resource', 'gw:two:item://1'), { enabled: false });
    expect(await view.findResource('gw:two:item://1')).toEqual({ kind: 'missing' });
    expect(await view.findResource('gw:two:item://2')).toMatchObject({ kind: 'found' });
  });

  it('is answered from memory while warm, and forgotten when the server or a gateway changes (G-8)', async () => {
    const gateway = await register('one');
    const id = await create({ capability: 'one-a' }, { capability: 'item://{id}' });
    const view = catalogue.servers.view(id);
    await view.findTool('one-a');
    await view.findResource('item://9');
    const before = statements;
    for (const name of ['one-a', 'one-b', 'nothing']) expect(view.findTool(name)).not.toBeInstanceOf(Promise);
    for (const uri of ['item://9', 'file:///a']) expect(view.findResource(uri)).not.toBeInstanceOf(Promise);
    expect(view.findPrompt('one-hello')).toEqual({ kind: 'missing' });
    expect(statements).toBe(before);

    await catalogue.servers.update(id, { items: [{ capability: 'one-b' }] });
    expect(await view.findTool('one-a')).toEqual({ kind: 'missing' });
    expect(await view.findTool('one-b')).toMatchObject({ kind: 'found' });
    await catalogue.editCapability('tool', await publish('tool', 'one-b'), { enabled: false });
    expect(await view.findTool('one-b')).toEqual({ kind: 'missing' });
    expect(await names(id, 'tool')).toEqual([]);
    await catalogue.editCapability('tool', await publish('tool', 'one-b'), { enabled: true });
    await catalogue.update(gateway, { enabled: false });
    expect(await view.findTool('one-b')).toEqual({ kind: 'missing' });
    await catalogue.remove(gateway);
    expect((await catalogue.servers.get(id)).items).toEqual([]);
  });

  it('lists every problem of a selection', async () => {
    await register('one');
    const tool = await publish('tool', 'one-a');
    expect(
      await problemsOf(
        { capability: 'one-none' },
        { capability: 'one-hello' },
        { capability: tool, kind: 'prompt' },
        { capability: tool },
        { capability: 'one-a' },
        { capability: 'file:///a', name: 'file' },
        { capability: 'one-b', name: 'one-a' },
      ),
    ).toEqual([
      { path: 'items.0.capability', message: 'is the id or public name of nothing that a gateway offers' },
      { path: 'items.1.capability', message: 'is a tool and a prompt: say which with kind' },
      { path: 'items.2.capability', message: 'is a tool, not a prompt' },
      { path: 'items.4.capability', message: 'is there twice (items.3)' },
      { path: 'items.5.name', message: 'is for tools and prompts: a resource keeps its URI' },
      { path: 'items.6.name', message: '"one-a" is the name of items.4: choose another' },
    ]);
    expect((await catalogue.servers.list({ limit: 9 })).items).toEqual([]);
  });

  it('a tool and a prompt may have the same chosen name; a server name is there once', async () => {
    await register('one');
    const id = await create({ capability: 'one-a', name: 'x' }, { capability: 'one-hello', kind: 'prompt', name: 'x' });
    await expect(create()).rejects.toMatchObject({ code: 'CONFLICT' });
    const other = { name: 'Mine', description: 'd', enabled: false, items: [] };
    expect((await catalogue.servers.create(other)).record.slug).toMatch(/^mine-[0-9a-f]{8}$/);
    expect((await catalogue.servers.list({ limit: 9, enabled: true })).items).toMatchObject([
      { record: { id, slug: 'mine' }, counts: { tool: 1, prompt: 1, resource: 0, resource_template: 0 } },
    ]);
  });

  it('describes what is behind the selection; disabled and unknown servers are not found', async () => {
    await register('one');
    const id = await create({ capability: 'one-a' });
    const lists = { tools: { listChanged: true }, resources: { listChanged: true }, prompts: { listChanged: true } };
    expect(await catalogue.servers.view(id).describe()).toEqual({ capabilities: lists });
    const logging = { ...reading.server, capabilities: { tools: {}, logging: {}, resources: { subscribe: true } } };
    await catalogue.register({ ...SPEC, name: 'two' }, { ...reading, server: logging });
    expect(await catalogue.servers.view(id).describe()).toEqual({ capabilities: lists });
    await catalogue.servers.update(id, { items: [{ capability: 'two-a' }] });
    expect(await catalogue.servers.view(id).describe()).toEqual({
      capabilities: { ...lists, resources: { listChanged: true, subscribe: true }, logging: {} },
    });
    await catalogue.servers.update(id, { enabled: false });
    await expect(catalogue.servers.view(id).describe()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await names(id, 'tool')).toEqual([]);
    await catalogue.servers.remove(id);
    await expect(catalogue.servers.remove(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(catalogue.servers.update(id, {})).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('tells of a gateway just those watched servers whose lists it has changed (N-7)', async () => {
    const [one, two] = [await register('one'), await register('two')];
    const first = await create({ capability: 'one-a' }, { capability: 'two-b' });
    const second = (
      await catalogue.servers.create({
        ...{ name: 'other', description: null, enabled: true },
        items: [{ capability: 'two-a' }, { capability: 'two-hello', kind: 'prompt' }],
      })
    ).record.id;
    for (const id of [first, second]) await catalogue.servers.view(id).describe();
    heard.length = 0;

    await catalogue.update(one, { description: 'nothing that a client sees' });
    await catalogue.editCapability('tool', await publish('tool', 'one-b'), { description: 'not selected' });
    await catalogue.editCapability('tool', await publish('tool', 'two-b'), { description: 'new' });
    await until(() => heard.length > 0, { what: 'a change' });
    expect(heard.splice(0)).toEqual([{ serverId: first, kinds: ['tool'], gone: false }]);

    await catalogue.remove(two);
    await until(() => heard.length === 2, { what: 'two changes' });
    expect(heard.splice(0)).toEqual([
      { serverId: first, kinds: ['tool'], gone: false },
      { serverId: second, kinds: ['tool', 'prompt'], gone: false },
    ]);

    await catalogue.servers.update(first, { name: 'renamed' });
    await catalogue.servers.update(first, { items: [] });
    await catalogue.servers.update(first, { enabled: false });
    expect(heard.map(({ kinds, gone }) => [kinds.join(), gone])).toEqual([
      ['', false],
      ['tool', false],
      ['tool,resource,resource_template,prompt', true],
    ]);
  });
});
