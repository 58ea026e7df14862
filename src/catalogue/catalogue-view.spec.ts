import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { listOf, NO_REFRESH, openCatalogueDatabase, readingOf, SPEC } from '../../test/support/catalogue.js';
import { SecretBox } from '../common/secret-box.js';
import { type Database } from '../database/database.js';
import {
  type CatalogueChange,
  CatalogueService,
  type CatalogueView,
  type ResourceLookup,
  type ServerReading,
} from './index.js';

const cleanups: (() => Promise<unknown>)[] = [];
let database: Database;
let catalogue: CatalogueService;
let statements = 0;

beforeAll(async () => {
  database = await openCatalogueDatabase('postgres', (cleanup) => void cleanups.push(cleanup));
  const { dataSource } = database;
  const secretBox = new SecretBox([randomBytes(32).toString('base64')]);
  const sessions = { evictGateway: () => undefined };
  catalogue = new CatalogueService({ ...NO_REFRESH, database: dataSource, secretBox, separator: '-', sessions });
  const connect = dataSource.createQueryRunner.bind(dataSource);
  dataSource.createQueryRunner = (mode) => {
    statements += 1;
    return connect(mode);
  };
});

afterEach(async () => {
  for (const { record } of (await catalogue.list({ limit: 500 })).items) await catalogue.remove(record.id);
});

afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Names and bytes that a public name or URI would change. */
const TOOL = '{ "name":"get.Wea\\u0074her ü", "n":1.0, "x":12345678901234567890 }';
const NAME = 'get.Weather ü';
const READING: ServerReading = readingOf({
  tool: listOf(TOOL),
  prompt: listOf('{"name":"p.q"}'),
  resource: listOf('{"uri":"file:///a","name":"a"}'),
  resource_template: listOf('{"uriTemplate":"db://{+name}","name":"t"}'),
});

const register = async (name: string, reading = READING): Promise<string> =>
  (await catalogue.register({ ...SPEC, name }, reading)).record.id;

describe('one gateway alone (SPEC G-10)', () => {
  let one: CatalogueView;
  let two: CatalogueView;
  let twoId: string;

  beforeEach(async () => {
    one = catalogue.gatewayAlone(await register('one'));
    two = catalogue.gatewayAlone((twoId = await register('two')));
  });

  const resource = async (view: CatalogueView, uri: string): Promise<string> => read(await view.findResource(uri));
  const read = (lookup: ResourceLookup): string =>
    lookup.kind === 'found'
      ? `${lookup.entry.gateway.name} ${lookup.entry.publicUri} ${lookup.entry.originalUri}`
      : lookup.kind;
  const listed = async (view: CatalogueView, ...kinds: Parameters<CatalogueView['listPage']>[0][]) => {
    const pages = await Promise.all(kinds.map((kind) => view.listPage(kind, { limit: 9 })));
    return pages.flatMap(({ items }) => items.map(String));
  };

  it('lists what the server sent, byte for byte, and only its own', async () => {
    expect(await listed(two, 'tool', 'resource', 'resource_template', 'prompt')).toEqual([
      TOOL,
      '{"uri":"file:///a","name":"a"}',
      '{"uriTemplate":"db://{+name}","name":"t"}',
      '{"name":"p.q"}',
    ]);
    expect(await listed(catalogue.all, 'resource')).toHaveLength(2);
  });

  it('finds tools and prompts by the names of the server, never by public ones', async () => {
    expect(await two.findTool(NAME)).toMatchObject({
      kind: 'found',
      entry: { originalName: NAME, gateway: { name: 'two' }, originalNameJson: Buffer.from('"get.Wea\\u0074her ü"') },
    });
    expect(await one.findTool(NAME)).toMatchObject({ kind: 'found', entry: { gateway: { name: 'one' } } });
    expect(await two.findPrompt('p.q')).toMatchObject({ kind: 'found', entry: { gateway: { name: 'two' } } });
    expect(await catalogue.all.findTool(NAME)).toEqual({ kind: 'missing' });
    expect(await two.findTool('two-get_Weather__')).toEqual({ kind: 'missing' });
    expect(await two.findPrompt('two-p_q')).toEqual({ kind: 'missing' });
    expect(await two.findPrompt(NAME)).toEqual({ kind: 'missing' });
  });

  it('finds resources by the URIs of the server, never by aliases (G-4)', async () => {
    expect(await resource(two, 'file:///a')).toBe('two file:///a file:///a');
    expect(await resource(one, 'file:///a')).toBe('one file:///a file:///a');
    expect(await resource(two, 'gw:two:file:///a')).toBe('missing');
    expect(await resource(catalogue.all, 'gw:two:file:///a')).toBe('two gw:two:file:///a file:///a');
  });

  it('reads by its own templates only', async () => {
    expect(await resource(two, 'db://x/y')).toBe('two db://x/y db://x/y');
    expect(await resource(two, 'gw:two:db://x')).toBe('missing');
    const third = catalogue.gatewayAlone(await register('three', readingOf({ prompt: listOf('{"name":"p"}') })));
    expect(await resource(third, 'db://x/y')).toBe('missing');
    expect(await resource(third, 'file:///a')).toBe('missing');
  });

  it('finds a template by itself, for completion', async () => {
    expect(read(await two.findTemplate('db://{+name}'))).toBe('two db://{+name} db://{+name}');
    expect(read(await two.findTemplate('gw:two:db://{+name}'))).toBe('missing');
    expect(read(await catalogue.all.findTemplate('gw:two:db://{+name}'))).toBe('two gw:two:db://{+name} db://{+name}');
    expect(read(await two.findTemplate('db://x'))).toBe('missing');
  });

  it('a name that holds the id of another gateway leads nowhere', async () => {
    for (const mark of ['\n', '\0', '|', ':']) {
      expect(await one.findTool(`${twoId}${mark}${NAME}`)).toEqual({ kind: 'missing' });
      expect(await catalogue.all.findTool(`${twoId}${mark}${NAME}`)).toEqual({ kind: 'missing' });
      expect(await resource(catalogue.all, `${twoId}${mark}file:///a`)).toBe('missing');
    }
  });

  it('a cursor of one gateway is none of another', async () => {
    const many = readingOf({ tool: listOf('{"name":"a"}', '{"name":"b"}') });
    const [first, second] = [await register('first', many), await register('second', many)];
    const page = await catalogue.gatewayAlone(first).listPage('tool', { limit: 1 });
    const cursor = page.nextCursor ?? '';
    const next = await catalogue.gatewayAlone(first).listPage('tool', { limit: 1, cursor });
    expect([page.items, next.items].flat().map(String)).toEqual(['{"name":"a"}', '{"name":"b"}']);
    expect(next.nextCursor).toBeUndefined();
    for (const view of [catalogue.gatewayAlone(second), catalogue.all]) {
      await expect(view.listPage('tool', { limit: 1, cursor })).rejects.toMatchObject({ code: 'INVALID_PARAMS' });
    }
  });

  it('is answered from memory while warm; a change of this gateway is seen at once, one of another costs nothing (G-8)', async () => {
    const ask = () => [
      ...[two.findTool(NAME), two.findPrompt('p.q'), two.findResource('file:///a'), two.findTemplate('db://{+name}')],
    ];
    const answers = async () => {
      const settled: unknown[] = [];
      for (const lookup of ask()) settled.push(await lookup);
      return settled;
    };
    await answers();
    const before = statements;
    expect(ask().some((lookup) => lookup instanceof Promise)).toBe(false);
    const [tool] = (await catalogue.listCapabilities('tool', { limit: 9, gateway: 'one' })).items;
    await catalogue.editCapability('tool', tool?.id ?? '', { enabled: false });
    expect(ask().some((lookup) => lookup instanceof Promise)).toBe(false);
    expect(statements).toBeGreaterThan(before); // the edit; so the count counts

    await catalogue.update(twoId, { enabled: false });
    for (const lookup of await answers()) {
      expect(lookup).toEqual({ kind: 'disabled', what: 'gateway', name: 'two' });
    }
    expect(await listed(two, 'tool', 'resource')).toEqual([]);
    await catalogue.remove(twoId);
    for (const lookup of await answers()) expect(lookup).toEqual({ kind: 'missing' });
    await expect(Promise.resolve(two.describe())).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('what initialize tells (SPEC D-6)', () => {
  const declaring = (capabilities: Record<string, unknown>, more: Record<string, unknown> = {}): ServerReading => {
    const reading = readingOf({});
    return { ...reading, server: { ...reading.server, capabilities, ...more } };
  };
  const LISTS = { tools: { listChanged: true }, resources: { listChanged: true }, prompts: { listChanged: true } };

  it('of all gateways: the lists always, the rest if any gateway that is enabled has it', async () => {
    expect(await catalogue.all.describe()).toEqual({ capabilities: LISTS });
    await register('a', declaring({ tools: {}, logging: {}, experimental: { x: {} } }));
    const b = await register('b', declaring({ resources: { subscribe: true }, completions: {}, tasks: {} }));
    await register('c', declaring({ resources: { subscribe: false } }));
    expect(await catalogue.all.describe()).toEqual({
      capabilities: {
        ...LISTS,
        ...{ resources: { listChanged: true, subscribe: true }, logging: {}, completions: {} },
      },
    });
    await catalogue.update(b, { enabled: false });
    expect(await catalogue.all.describe()).toEqual({ capabilities: { ...LISTS, logging: {} } });
  });

  it('of one: what it declared itself and we can relay, its instructions, its name', async () => {
    const capabilities = { tools: { listChanged: false }, logging: {}, experimental: { x: {} }, tasks: {} };
    const serverInfo = { name: 's', version: '9', title: 'S' };
    const id = await register('a', declaring(capabilities, { instructions: 'do', serverInfo }));
    expect(await catalogue.gatewayAlone(id).describe()).toEqual({
      ...{ capabilities: { tools: { listChanged: false }, logging: {} }, instructions: 'do', serverInfo },
    });
  });

  it('of one that was never reached: nothing, and no name', async () => {
    const { record } = await catalogue.register(SPEC);
    expect(await catalogue.gatewayAlone(record.id).describe()).toEqual({ capabilities: {} });
  });
});

it('every committed change is told, with the gateway and the kinds that may look different', async () => {
  const heard: CatalogueChange[] = [];
  const stop = catalogue.changes.subscribe((change) => void heard.push(change));
  const gatewayId = await register('one');
  const [tool] = (await catalogue.listCapabilities('tool', { limit: 1 })).items;
  await catalogue.editCapability('tool', tool?.id ?? '', { description: 'mine' });
  await expect(catalogue.register({ ...SPEC, name: 'one' })).rejects.toMatchObject({ code: 'CONFLICT' });
  await catalogue.remove(gatewayId);
  stop();
  const all = ['tool', 'resource', 'resource_template', 'prompt'];
  expect(heard.map(({ gatewayId: id, kinds }) => [id, [...kinds].sort()])).toEqual([
    [gatewayId, [...all].sort()],
    [gatewayId, ['tool']],
    [gatewayId, [...all].sort()],
  ]);
});
