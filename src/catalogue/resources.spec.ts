import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { listOf, NO_REFRESH, openCatalogueDatabase, readingOf, SPEC } from '../../test/support/catalogue.js';
import { SecretBox } from '../common/secret-box.js';
import { type Database } from '../database/database.js';
import { CatalogueService, type ResourceEntry, type ServerReading } from './index.js';

const cleanups: (() => Promise<unknown>)[] = [];
const secretBox = new SecretBox([randomBytes(32).toString('base64')]);
let database: Database;
let catalogue: CatalogueService;
let clock = 0;
let statements = 0;

beforeAll(async () => {
  database = await openCatalogueDatabase('postgres', (cleanup) => void cleanups.push(cleanup));
  const { dataSource } = database;
  const sessions = { evictGateway: () => undefined };
  catalogue = new CatalogueService({
    ...NO_REFRESH,
    database: dataSource,
    secretBox,
    separator: '-',
    sessions,
    now: () => clock,
  });
  const connect = dataSource.createQueryRunner.bind(dataSource);
  dataSource.createQueryRunner = (mode) => {
    statements += 1;
    return connect(mode);
  };
});

afterEach(async () => {
  for (const { record } of (await catalogue.list({ limit: 500 })).items) await catalogue.remove(record.id);
  clock += 1_000_000;
});

afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function server(uris: readonly string[], templates: readonly string[] = []): ServerReading {
  return readingOf({
    resource: listOf(...uris.map((uri) => JSON.stringify({ uri, name: 'r' }))),
    resource_template: listOf(...templates.map((uriTemplate) => JSON.stringify({ uriTemplate, name: 't' }))),
  });
}

async function register(name: string, ...offer: Parameters<typeof server>): Promise<string> {
  return (await catalogue.register({ ...SPEC, name }, server(...offer))).record.id;
}

async function found(uri: string): Promise<ResourceEntry> {
  const lookup = await catalogue.all.findResource(uri);
  if (lookup.kind !== 'found') throw new Error(`${uri} is ${lookup.kind}`);
  return lookup.entry;
}

const at = async (uri: string): Promise<string> => {
  const { gateway, originalUri, originalUriJson, publicUri } = await found(uri);
  expect([publicUri, JSON.parse(originalUriJson.toString())]).toEqual([uri, originalUri]);
  return `${gateway.name} ${originalUri}`;
};

describe('findResource (SPEC G-4)', () => {
  it('finds the record, and by its alias that of a later gateway', async () => {
    await register('one', ['file:///a']);
    await register('two', ['file:///a']);
    expect(await at('file:///a')).toBe('one file:///a');
    expect(await at('gw:two:file:///a')).toBe('two file:///a');
    expect(await catalogue.all.findResource('gw:one:file:///a')).toEqual({ kind: 'missing' });
  });

  it('has the URI in the bytes of the server (D-7)', async () => {
    const entry = String.raw`{"name":"r","uri":"file:\/\/\/\u0061"}`;
    await catalogue.register(SPEC, readingOf({ resource: listOf(entry) }));
    expect((await found('file:///a')).originalUriJson.toString()).toBe(String.raw`"file:\/\/\/\u0061"`);
  });

  it('else by the template with the longest literal prefix, then of the oldest gateway', async () => {
    await register('old', [], ['file:///{+path}', 'db://{name}']);
    await register('new', ['file:///docs/fixed'], ['file:///docs/{name}', 'file:///{+path}', 'db://{name}/rows']);
    expect(await at('file:///x/y')).toBe('old file:///x/y');
    expect(await at('file:///docs/a')).toBe('new file:///docs/a');
    expect(await at('file:///docs/a/b')).toBe('old file:///docs/a/b');
    expect(await at('db://users/rows')).toBe('new db://users/rows');
    expect(await at('gw:new:file:///x')).toBe('new file:///x');
    expect(await catalogue.all.findResource('http://nowhere')).toEqual({ kind: 'missing' });
  });

  it('what is disabled is found as disabled, and no template leads around it', async () => {
    const [first] = [await register('one', [], ['file:///{x}']), await register('two', ['file:///s'], ['file:///{x}'])];
    const [resource] = (await catalogue.listCapabilities('resource', { limit: 1 })).items;
    await catalogue.editCapability('resource', resource?.id ?? '', { enabled: false });
    const disabled = { kind: 'disabled', what: 'resource', name: 'file:///s' };
    expect(await catalogue.all.findResource('file:///s')).toEqual(disabled);
    // The same resource of gateway two by another way: its aliased template.
    expect(await catalogue.all.findResource('gw:two:file:///s')).toEqual(disabled);
    expect(await at('file:///t')).toBe('one file:///t');

    await catalogue.update(first, { enabled: false });
    expect(await catalogue.all.findResource('file:///t')).toEqual({ kind: 'disabled', what: 'gateway', name: 'one' });
  });

  it('a URI that only a disabled template stands for is disabled, one that another stands for is not', async () => {
    await register('one', [], ['file:///{x}', 'db://{+x}']);
    await register('two', [], ['db://{table}']);
    const templates = (await catalogue.listCapabilities('resource_template', { limit: 9, gateway: 'one' })).items;
    for (const { id } of templates) await catalogue.editCapability('resource_template', id, { enabled: false });
    const disabled = { kind: 'disabled', what: 'resource', name: 'file:///{x}' };
    expect(await catalogue.all.findResource('file:///a')).toEqual(disabled);
    expect(await at('db://users')).toBe('two db://users');
    expect(await catalogue.all.findResource('x:none')).toEqual({ kind: 'missing' });
  });

  it('is answered from memory while warm, and a new gateway changes what a template stood for at once (G-8)', async () => {
    await register('one', ['file:///a'], ['file:///{+path}']);
    for (const uri of ['file:///a', 'file:///b', 'x:none']) await catalogue.all.findResource(uri);
    const before = statements;
    expect(before).toBeGreaterThan(0);
    expect(catalogue.all.findResource('file:///a')).not.toBeInstanceOf(Promise);
    expect(catalogue.all.findResource('file:///b')).toMatchObject({
      kind: 'found',
      entry: { gateway: { name: 'one' } },
    });
    expect(catalogue.all.findResource('x:none')).toEqual({ kind: 'missing' });
    expect(statements).toBe(before);

    const two = await register('two', ['file:///b', 'x:none']);
    expect(await at('file:///b')).toBe('two file:///b');
    expect(await at('x:none')).toBe('two x:none');
    await catalogue.remove(two);
    expect(await at('file:///b')).toBe('one file:///b');
  });

  it('forgets after 60 s, and after 10 s that there is nothing', async () => {
    await register('one', ['file:///a']);
    await catalogue.all.findResource('file:///a');
    await catalogue.all.findResource('x:none');
    clock += 10_000;
    expect(catalogue.all.findResource('file:///a')).not.toBeInstanceOf(Promise);
    expect(catalogue.all.findResource('x:none')).toBeInstanceOf(Promise);
    clock += 50_000;
    expect(catalogue.all.findResource('file:///a')).toBeInstanceOf(Promise);
  });

  it.each(['', 'a\0b', 'a\ud800', 'x'.repeat(4_097)])('does not ask the database for %j', (uri) => {
    expect(catalogue.all.findResource(uri)).toEqual({ kind: 'missing' });
  });
});

describe('findPrompt', () => {
  it('finds a prompt by its public name', async () => {
    await catalogue.register(SPEC, readingOf({ prompt: listOf('{"name":"p.q"}') }));
    expect(await catalogue.all.findPrompt('weather-p_q')).toMatchObject({
      kind: 'found',
      entry: { originalName: 'p.q' },
    });
    expect(await catalogue.all.findTool('weather-p_q')).toEqual({ kind: 'missing' });
  });
});

describe('findGateway', () => {
  it('is the same object that its resources lead to, from memory while warm', async () => {
    const id = await register('one', ['file:///a']);
    const gateway = await catalogue.findGateway(id);
    expect((await found('file:///a')).gateway).toBe(gateway);
    expect(catalogue.findGateway(id)).toBe(gateway);
    await catalogue.update(id, { name: 'renamed' });
    expect((await catalogue.findGateway(id))?.name).toBe('renamed');
    await catalogue.remove(id);
    expect(await catalogue.findGateway(id)).toBeUndefined();
    expect(catalogue.findGateway('no id')).toBeUndefined();
  });
});

describe('a URL with a query (SPEC S-4)', () => {
  const url = 'https://example.org/mcp?api_key=query-secret&x=1';

  it('is sealed, and whole again where a connection is made', async () => {
    const { record } = await catalogue.register({ ...SPEC, url }, server(['file:///a']));
    expect([record.url, catalogue.secretsOf(record).url]).toEqual(['https://example.org/mcp', url]);
    expect((await catalogue.findGateway(record.id))?.target.url).toBe(url);
    for (const table of ['gateways', 'capabilities']) {
      expect(JSON.stringify(await database.dataSource.query(`SELECT * FROM ${table}`))).not.toContain('query-secret');
    }
  });

  it('that gets another query is another connection', async () => {
    const { record } = await catalogue.register({ ...SPEC, url }, server([]));
    const before = (await catalogue.findGateway(record.id))?.target;
    await catalogue.update(record.id, { url: 'https://example.org/mcp?api_key=other' }, server([]), record);
    const after = (await catalogue.findGateway(record.id))?.target;
    expect(after).not.toBe(before);
    expect(after?.url).toBe('https://example.org/mcp?api_key=other');
    const late = catalogue.update(record.id, { url }, server([]), record);
    await expect(late).rejects.toMatchObject({ code: 'CONFLICT' });

    await catalogue.update(record.id, { url: 'https://example.org/mcp' }, server([]));
    expect((await catalogue.get(record.id)).record.urlSealed).toBeNull();
  });
});
