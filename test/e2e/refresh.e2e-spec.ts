import { afterEach, describe, expect, it } from '@jest/globals';
import { type CatalogueChange } from '../../src/catalogue/index.js';
import { PROMPTS, RESOURCES, TEMPLATES } from '../support/mcp-content.js';
import { type ListFault } from '../support/mcp-server.js';
import { until } from '../support/until.js';
import { endAll, hold, mcpServer, RefreshWorld } from './refresh.support.js';

afterEach(endAll);

const NONE = { added: 0, updated: 0, removed: 0, visible: false };

async function everything(world: RefreshWorld): Promise<string[][]> {
  return Promise.all((['tool', 'resource', 'resource_template', 'prompt'] as const).map((kind) => world.names(kind)));
}

describe('GatewayRefresh: nothing good is lost (SPEC G-5)', () => {
  it('a change of the server is read, counted and told; no change is told to nobody', async () => {
    const world = await RefreshWorld.open({}, { tools: 3, baseTools: false });
    const changes: CatalogueChange[] = [];
    world.catalogue().changes.subscribe((change) => void changes.push(change));
    expect(await world.refresh()).toMatchObject({ success: true, covered: false, validationErrors: [] });
    expect(changes).toEqual([]);

    world.server.addTool('fresh');
    world.server.removeTool('tool_0002');
    const report = await world.refresh();
    expect(report.changes).toEqual({
      ...{ tool: { added: 1, updated: 0, removed: 1, visible: true } },
      ...{ resource: NONE, resource_template: NONE, prompt: NONE },
    });
    expect(changes).toEqual([{ gatewayId: world.id, kinds: ['tool'] }]);
    expect(await world.names('tool')).toEqual(['fresh', 'tool_0001', 'tool_0003']);
    expect((await world.catalogue().all.findTool('demo-fresh')).kind).toBe('found');
    const { items } = await world.catalogue().listCapabilities('tool', { limit: 9, search: 'fresh' });
    expect(items[0]?.createdVia).toBe('test');
    expect(await world.pending()).toEqual({ open: 0, kinds: [] });
  });

  it.each<[string, ListFault, string]>([
    ['prompts/list fails', { method: 'prompts/list', page: 1, fault: 'error' }, 'prompt'],
    ['the second page fails', { method: 'tools/list', page: 2, fault: 'error' }, 'tool'],
    ['a cursor is repeated', { method: 'tools/list', page: 2, fault: 'repeat-cursor' }, 'tool'],
  ])('%s: that list stays as it was, the others are read; the request stays open', async (_name, fault, kind) => {
    const world = await RefreshWorld.open({}, { tools: 6, baseTools: false, pageSize: 2 });
    const before = await everything(world);
    expect(before.map(({ length }) => length)).toEqual([6, RESOURCES.length, TEMPLATES.length, PROMPTS.length]);
    world.server.faults.listFault = fault;
    world.server.addTool('fresh');
    const report = await world.refresh();
    expect(report).toMatchObject({
      ...{ success: false, error: expect.stringContaining(fault.method) },
      failedLists: [{ kind, code: 'UPSTREAM_PROTOCOL', message: expect.stringContaining(fault.method) }],
    });
    const [tools, ...others] = await everything(world);
    expect(others).toEqual(before.slice(1));
    expect(tools).toEqual(kind === 'tool' ? before[0] : [...(before[0] ?? []), 'fresh'].sort());
    expect(await world.pending()).toEqual({ open: 1, kinds: ['prompts', 'resources', 'tools'] });

    delete world.server.faults.listFault;
    expect(await world.refresh({ kinds: ['resources'] })).toMatchObject({ success: true });
    expect(await world.names('tool')).toContain('fresh');
    expect(await world.pending()).toEqual({ open: 0, kinds: [] });
  });

  it('one invalid entry is skipped and reported; the rest is read', async () => {
    const world = await RefreshWorld.open({}, { tools: 3, baseTools: false });
    const before = await everything(world);
    for (const method of ['tools/list', 'resources/list', 'resources/templates/list', 'prompts/list'] as const) {
      world.server.faults.listFault = { method, page: 1, fault: 'invalid-entry' };
      const report = await world.refresh();
      expect(report).toMatchObject({ success: true, failedLists: [] });
      expect(report.validationErrors).toEqual([
        expect.objectContaining({ index: 1, reason: expect.stringMatching(/name|uri/) }),
      ]);
      expect(await everything(world)).toEqual(before);
    }
  });

  it.each([
    ['cannot be reached', (world: RefreshWorld) => world.server.stop()],
    ['refuses us', async ({ server }: RefreshWorld) => void (server.faults.answer = 401)],
  ])('a server that %s leaves everything as it was', async (_name, spoil) => {
    const world = await RefreshWorld.open();
    const before = await everything(world);
    await spoil(world);
    await expect(world.refresh()).rejects.toMatchObject({ code: expect.stringMatching(/^UPSTREAM_UNA/) });
    expect(await everything(world)).toEqual(before);
    expect((await world.pending()).open).toBe(1);
  });

  it('what an administrator set survives, also in what clients get', async () => {
    const world = await RefreshWorld.open({}, { tools: 2, baseTools: false });
    const catalogue = world.catalogue();
    const [one, two] = (await catalogue.listCapabilities('tool', { limit: 9 })).items;
    await catalogue.editCapability('tool', one?.id ?? '', { enabled: false });
    await catalogue.editCapability('tool', two?.id ?? '', { description: 'mine' });
    const { record } = await catalogue.update(world.id, { description: 'ours', tags: ['x'] });
    world.server.addTool('fresh');
    await world.refresh();
    const after = (await catalogue.listCapabilities('tool', { limit: 9 })).items;
    expect(after.map(({ enabled, descriptionOverride }) => [enabled, descriptionOverride])).toEqual([
      ...[[true, null]],
      ...[
        [false, null],
        [true, 'mine'],
      ],
    ]);
    expect((await catalogue.get(world.id)).record).toMatchObject({
      ...{ description: 'ours', tags: ['x'], enabled: true, updatedAt: record.updatedAt },
    });
    const page = await catalogue.all.listPage('tool', { limit: 9 });
    expect(page.items.map((item) => (JSON.parse(item.toString()) as Record<string, unknown>)['description'])).toEqual([
      ...['Generated tool fresh', 'mine'],
    ]);
  });

  it.each([
    ['tools', { 'tools/list': 1 }],
    ['resources', { 'resources/list': 1, 'resources/templates/list': 1 }],
    ['prompts', { 'prompts/list': 1 }],
  ] as const)('asked for %s it reads no other list', async (kind, wanted) => {
    const world = await RefreshWorld.open();
    const before = await everything(world);
    const asked = world.asked();
    await world.refresh({ kinds: [kind] });
    const lists = ['tools/list', 'resources/list', 'resources/templates/list', 'prompts/list'];
    const seen = Object.fromEntries(lists.map((list) => [list, asked[list]]).filter(([, count]) => count !== 0));
    expect(seen).toEqual(wanted);
    expect(await everything(world)).toEqual(before);
  });
});

describe('POST /gateways/:id/refresh (SPEC G-6)', () => {
  it('answers with what has changed, and 404 for no gateway', async () => {
    const world = await RefreshWorld.open({}, { tools: 1, baseTools: false, kinds: ['tools'] });
    world.server.addTool('fresh');
    const none = { added: 0, updated: 0, removed: 0 };
    const { status, json } = await world.rest('POST', `/gateways/${world.id}/refresh`);
    expect([status, json]).toEqual([
      200,
      {
        ...{ success: true, failedLists: [], validationErrors: [], durationMs: expect.any(Number) },
        ...{ tools: { ...none, added: 1 }, resources: none, resourceTemplates: none, prompts: none },
      },
    ]);
    world.server.faults.listFault = { method: 'tools/list', page: 1, fault: 'error' };
    const failed = await world.rest('POST', `/gateways/${world.id}/refresh`);
    expect([failed.status, failed.json]).toMatchObject([200, { success: false, failedLists: [{ kind: 'tool' }] }]);
    const nobody = await world.rest('POST', '/gateways/00000000-0000-4000-8000-000000000000/refresh');
    expect(nobody.status).toBe(404);
  });

  it('409 while one runs; what it asked for is done by the next', async () => {
    const world = await RefreshWorld.open({}, { tools: 1, baseTools: false });
    const held = hold(world.server, 'tools/list');
    const running = world.refresh();
    await held.arrived;
    const answer = await world.rest('POST', `/gateways/${world.id}/refresh`);
    expect([answer.status, answer.json]).toMatchObject([409, { code: 'CONFLICT', retryable: false }]);
    held.letGo();
    await running;
    expect((await world.pending()).open).toBe(1);
    expect((await world.rest('POST', `/gateways/${world.id}/refresh`)).status).toBe(200);
    expect((await world.pending()).open).toBe(0);
  });

  it('a deferred gateway is read over the transport that was asked for', async () => {
    const world = await RefreshWorld.open();
    const sse = await mcpServer();
    sse.faults.answer = 500;
    const deferred = await world.rest('POST', '/gateways?deferred=true', {
      ...{ name: 'Later', url: sse.sseUrl, transport: 'sse' },
    });
    const { id } = deferred.json as unknown as { id: string };
    await until(async () => (await world.catalogue().get(id)).record.lastError !== null, { what: 'the first try' });
    delete sse.faults.answer;
    const request = { kinds: ['prompts'], createdVia: 'test', whenBusy: 'wait' } as const;
    await world.catalogue().refresh(id, request, new AbortController().signal);
    const { record, counts } = await world.catalogue().get(id);
    expect(record).toMatchObject({ transport: 'sse', reachable: true });
    expect(counts.tool).toBeGreaterThan(0); // all of it, though only prompts were asked for
  });
});
