import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { listOf, NO_REFRESH, openCatalogueDatabase, readingOf, SPEC, tools } from '../../test/support/catalogue.js';
import { CodedError } from '../common/errors.js';
import { SecretBox } from '../common/secret-box.js';
import { type Database } from '../database/database.js';
import { CatalogueService, type ListReading, type ToolEntry } from './index.js';

describe.each(['postgres', 'embedded'] as const)('CatalogueService on %s', (kind) => {
  const cleanups: (() => Promise<unknown>)[] = [];
  const secretBox = new SecretBox([randomBytes(32).toString('base64')]);
  const evicted: string[] = [];
  let database: Database;
  let catalogue: CatalogueService;

  const another = (now?: () => number): CatalogueService =>
    new CatalogueService({
      ...NO_REFRESH,
      database: database.dataSource,
      secretBox,
      separator: '-',
      sessions: { evictGateway: (id) => void evicted.push(id) },
      ...(now ? { now } : {}),
    });

  beforeAll(async () => {
    database = await openCatalogueDatabase(kind, (cleanup) => void cleanups.push(cleanup));
    catalogue = another();
  });

  afterEach(async () => {
    for (const { record } of (await catalogue.list({ limit: 500 })).items) await catalogue.remove(record.id);
    evicted.length = 0;
  });

  afterAll(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const found = async (name: string, from = catalogue): Promise<ToolEntry> => {
    const lookup = await from.all.findTool(name);
    if (lookup.kind !== 'found') throw new Error(`${name} is ${lookup.kind}`);
    return lookup.entry;
  };
  const publicNames = async (limit = 500): Promise<string[]> => {
    const page = await catalogue.all.listPage('tool', { limit });
    return page.items.map((item) => (JSON.parse(item.toString()) as { name: string }).name);
  };

  it('stores a gateway with all that was read, secrets sealed (SPEC G-2, S-4)', async () => {
    const reading = readingOf({
      tool: listOf('{"name":"t"}'),
      resource: listOf('{"uri":"file:///a","name":"a"}', '{"uri":"file:///b","name":"b"}'),
      resource_template: listOf('{"uriTemplate":"file:///{x}","name":"x"}'),
      prompt: listOf('{"name":"p"}'),
    });
    const { record, counts } = await catalogue.register(SPEC, reading);
    expect(counts).toEqual({ tool: 1, resource: 2, resource_template: 1, prompt: 1 });
    expect(record).toMatchObject({ slug: 'weather', reachable: true, transport: 'streamablehttp', stateful: true });
    expect(record.instructions).toBe('a\ufffdb');
    const [row] = await database.dataSource.query<object[]>('SELECT * FROM gateways');
    expect(JSON.stringify(row)).not.toContain('clear-token');
    const { url, auth, tls } = catalogue.secretsOf(record);
    expect({ url, auth, tls }).toEqual({ url: SPEC.url, auth: SPEC.auth, tls: null });
  });

  it('keeps definitions byte for byte; tools/list splices only name and description (SPEC D-7)', async () => {
    const definition =
      '{ "z":1.0, "name":"\\u0074\\u0000!", "n":12345678901234567890, "description":"d", "a":"\\u0000" }';
    await catalogue.register(
      SPEC,
      readingOf({ tool: { status: 'read', entries: [{ originalName: 't', definition }] } }),
    );
    const [record] = (await catalogue.listCapabilities('tool', { limit: 1 })).items;
    expect(record?.definition).toBe(definition);
    expect((await found('weather-t')).originalNameJson.toString()).toBe('"\\u0074\\u0000!"');

    await catalogue.editCapability('tool', record?.id ?? '', { description: 'mine' });
    const { items } = await catalogue.all.listPage('tool', { limit: 10 });
    expect(items.map(String)).toEqual([
      '{ "z":1.0, "name":"weather-t", "n":12345678901234567890, "description":"mine", "a":"\\u0000" }',
    ]);
  });

  it('refuses a name that is taken and stores nothing of it', async () => {
    await catalogue.register(SPEC, tools('a'));
    await expect(catalogue.register(SPEC, tools('b'))).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await publicNames()).toEqual(['weather-a']);
  });

  it('gives names out without clashes to parallel registrations (SPEC G-4)', async () => {
    const names = ['We-ather', 'We.ather', 'we ather', 'WE_ATHER', 'we--ather'];
    const all = await Promise.all(
      names.map((name) => catalogue.register({ ...SPEC, name }, tools('a.b', 'a b', 'a_b'))),
    );
    const slugs = all.map(({ record }) => record.slug);
    expect(new Set(slugs).size).toBe(5);
    expect(slugs.filter((slug) => slug === 'we-ather')).toHaveLength(1);
    const given = await publicNames();
    expect(given).toHaveLength(15);
    expect(new Set(given).size).toBe(15);
    for (const name of given) expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
  });

  it('two gateways that come to the same public name keep both; a name handed out never changes (G-4)', async () => {
    const one = await catalogue.register({ ...SPEC, name: 'a' }, tools('b-c'));
    const two = await catalogue.register({ ...SPEC, name: 'a-b' }, tools('c'));
    const [first, second] = await publicNames();
    expect(first).toBe('a-b-c');
    expect(second).toMatch(/^a-b-c_[0-9a-f]{8}$/);

    await catalogue.update(one.record.id, { name: 'renamed', url: 'http://127.0.0.1:2/mcp' }, tools('x', 'b-c'));
    await catalogue.remove(one.record.id);
    await catalogue.update(two.record.id, { url: 'http://127.0.0.1:2/mcp' }, tools('c'));
    expect(await publicNames()).toEqual([second]);
  });

  it('the first registered keeps its resource URI, a later one gets the alias (G-4)', async () => {
    const reading = readingOf({ resource: listOf('{"uri":"file:///a","name":"a"}') });
    await catalogue.register({ ...SPEC, name: 'one' }, reading);
    await catalogue.register({ ...SPEC, name: 'two' }, reading);
    const { items } = await catalogue.listCapabilities('resource', { limit: 10 });
    expect(items.map((item) => [item.publicName, item.gateway.name])).toEqual([
      ['file:///a', 'one'],
      ['gw:two:file:///a', 'two'],
    ]);
  });

  it('a new reading adds, changes and removes; what an administrator set survives; a failed list stays (G-5)', async () => {
    const prompt = listOf('{"name":"p"}');
    const tool = listOf('{"name":"a"}', '{"name":"b"}', '{"name":"c"}');
    const { record } = await catalogue.register(SPEC, readingOf({ tool, prompt }));
    const b = await found('weather-b');
    await catalogue.editCapability('tool', b.id, { enabled: false, description: 'mine' });

    const failed: ListReading = { status: 'failed', error: new CodedError('UPSTREAM_PROTOCOL', 'x') };
    const next = readingOf({ tool: listOf('{"name":"d"}', '{"name":"b","v":2}', '{"name":"c"}'), prompt: failed });
    const { counts } = await catalogue.update(record.id, { url: 'http://127.0.0.1:3/mcp' }, next);
    expect(counts).toEqual({ tool: 3, resource: 0, resource_template: 0, prompt: 1 });
    const after = await catalogue.getCapability('tool', b.id);
    expect(after).toMatchObject({
      enabled: false,
      descriptionOverride: 'mine',
      definition: '{"name":"b","v":2}',
      ordinal: 1,
    });
    expect(await publicNames()).toEqual(['weather-c', 'weather-d']);
  });

  it('pages 1,200 tools; the pages stay right while the catalogue changes (D-6)', async () => {
    const names = Array.from({ length: 1_200 }, (_, i) => `tool_${String(i).padStart(4, '0')}`);
    const { record } = await catalogue.register(SPEC, tools(...names));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await catalogue.all.listPage('tool', { limit: 100, ...(cursor ? { cursor } : {}) });
      seen.push(...page.items.map((item) => (JSON.parse(item.toString()) as { name: string }).name));
      if (seen.length === 300) {
        const kept = names.filter((name) => name !== 'tool_0000' && name !== 'tool_0299' && name !== 'tool_1199');
        await catalogue.update(record.id, { url: 'http://127.0.0.1:9/mcp' }, tools('tool_0000b', ...kept));
      }
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(names.filter((name) => name !== 'tool_1199').map((name) => `weather-${name}`));
    await expect(catalogue.all.listPage('tool', { limit: 10, cursor: 'AAAA' })).rejects.toMatchObject({
      code: 'INVALID_PARAMS',
    });
  });

  it('answers a lookup from memory, and every edit is seen at once (G-8)', async () => {
    const { record } = await catalogue.register(SPEC, tools('a', 'b'));
    const a = await found('weather-a');
    expect(catalogue.all.findTool('weather-a')).toEqual({ kind: 'found', entry: a });
    expect((await found('weather-b')).gateway).toBe(a.gateway);
    expect(await catalogue.all.findTool('weather-x')).toEqual({ kind: 'missing' });
    expect(catalogue.all.findTool('no\0name')).toEqual({ kind: 'missing' });

    await catalogue.editCapability('tool', a.id, { enabled: false });
    expect(await catalogue.all.findTool('weather-a')).toEqual({ kind: 'disabled', what: 'tool', name: 'weather-a' });
    await catalogue.update(record.id, { enabled: false });
    expect(await catalogue.all.findTool('weather-b')).toEqual({ kind: 'disabled', what: 'gateway', name: 'Weather' });
    expect(evicted).toEqual([record.id]);
    await catalogue.remove(record.id);
    expect(await catalogue.all.findTool('weather-b')).toEqual({ kind: 'missing' });
  });

  it('needs no database on a warm cache, and asks again after 60 s (G-8)', async () => {
    let clock = 0;
    const mine = another(() => clock);
    const { record } = await mine.register(SPEC, tools('a'));
    await found('weather-a', mine);
    await database.dataSource.query('UPDATE capabilities SET enabled = false');
    expect((await found('weather-a', mine)).gateway.id).toBe(record.id);
    clock = 60_001;
    expect(await mine.all.findTool('weather-a')).toMatchObject({ kind: 'disabled' });
  });

  it('a rotated credential is used by the targets that are in use (P-16, P-14)', async () => {
    const { record } = await catalogue.register(SPEC, tools('a'));
    const { target } = (await found('weather-a')).gateway;
    expect(await target.credentials.headers('call')).toEqual({ authorization: 'Bearer clear-token' });
    await catalogue.update(record.id, { auth: { type: 'basic', username: 'u', password: 'p' } }, tools('a'));
    expect(await target.credentials.headers('call')).toEqual({ authorization: 'Basic dTpw' });
    expect(evicted).toEqual([record.id]);
    expect((await found('weather-a')).gateway.target).toBe(target);

    await catalogue.update(record.id, { url: 'http://127.0.0.1:5/mcp', tls: { ca: 'PEM' } }, tools('a'));
    const { gateway } = await found('weather-a');
    expect(gateway.target).not.toBe(target);
    expect(gateway.target).toMatchObject({ url: 'http://127.0.0.1:5/mcp', tls: { ca: 'PEM' } });
  });

  it('of two changes worked out from the same connection only one is stored', async () => {
    const { record } = await catalogue.register(SPEC, tools('a'));
    await catalogue.update(record.id, { url: 'http://127.0.0.1:2/mcp' }, tools('a'), record);
    const late = catalogue.update(record.id, { url: 'http://127.0.0.1:3/mcp' }, tools('b'), record);
    await expect(late).rejects.toMatchObject({ code: 'CONFLICT' });
    expect((await catalogue.get(record.id)).record.url).toBe('http://127.0.0.1:2/mcp');
    expect(await publicNames()).toEqual(['weather-a']);
  });

  it('fills a deferred gateway once, and only under the connection that was read (G-2)', async () => {
    const { record } = await catalogue.register(SPEC);
    expect(record).toMatchObject({ reachable: false, transport: null, lastRefreshAt: null });
    expect(await catalogue.neverRead()).toEqual([record.id]);
    await catalogue.noteFailure(record.id, 'refused', 'nobody\0there');
    expect((await catalogue.get(record.id)).record).toMatchObject({
      lastErrorReason: 'refused',
      lastError: 'nobody\ufffdthere',
    });

    expect(await catalogue.fill(record.id, tools('x'), { ...record, url: 'http://elsewhere' })).toBeUndefined();
    expect(await catalogue.fill(record.id, tools('a'), record)).toMatchObject({ tool: { added: 1 } });
    expect(await catalogue.fill(record.id, tools('b'), record)).toBeUndefined();
    expect((await catalogue.get(record.id)).record).toMatchObject({ reachable: true, lastError: null });
    expect(await catalogue.neverRead()).toEqual([]);
    expect(await publicNames()).toEqual(['weather-a']);
  });

  it('lists gateways and capabilities by filters and pages', async () => {
    for (const name of ['a%', 'b', 'c']) {
      await catalogue.register({ ...SPEC, name, tags: [name], enabled: name !== 'c' }, tools('one', 'two'));
    }
    const names = async (filter: Parameters<CatalogueService['list']>[0]) =>
      (await catalogue.list(filter)).items.map(({ record }) => record.name);
    expect(await names({ limit: 9, enabled: false })).toEqual(['c']);
    expect(await names({ limit: 9, tag: 'b' })).toEqual(['b']);
    expect(await names({ limit: 9, search: '%' })).toEqual(['a%']);
    expect(await names({ limit: 9, reachable: false })).toEqual([]);
    const { nextCursor = '' } = await catalogue.list({ limit: 2 });
    expect(await names({ limit: 2, cursor: nextCursor })).toEqual(['c']);

    const page = await catalogue.listCapabilities('tool', { limit: 9, gateway: 'b', search: 'ONE' });
    expect(page.items.map((item) => item.publicName)).toEqual(['b-one']);
    await expect(catalogue.getCapability('prompt', page.items[0]?.id ?? '')).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
