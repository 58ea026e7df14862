import { type CancelSignal } from '../common/cancellation.js';
import { describe, expect, it } from '@jest/globals';
import { CodedError } from '../common/errors.js';
import { type RequestOptions, type UpstreamReply, type UpstreamSession } from '../session-pool/index.js';
import { MAX_DEFINITION_BYTES } from './parse-entry.js';
import { MAX_PAGES, readCapabilities } from './read-capabilities.js';

type Answer = (method: string, params: Record<string, unknown>, options?: RequestOptions) => string | Promise<string>;

const ALL = { tools: {}, resources: {}, prompts: {} };

/** Only the raw bytes matter here; that real servers are read is shown in test/e2e/gateways.e2e-spec.ts. */
function sessionOf(capabilities: Record<string, unknown>, answer: Answer): UpstreamSession {
  const reply = (text: string): UpstreamReply =>
    text.startsWith('!')
      ? { kind: 'error', raw: Buffer.from(text.slice(1)) }
      : { kind: 'result', raw: Buffer.from(text) };
  const unused = (): never => {
    throw new Error('not used by the reader');
  };
  return {
    transport: 'streamablehttp',
    server: { protocolVersion: '2025-11-25', capabilities, serverInfo: {} },
    request: async (method, params, options) =>
      reply(await answer(method, params ? (JSON.parse(params.toString()) as Record<string, unknown>) : {}, options)),
    notify: unused,
    respond: unused,
    onMessage: unused,
    close: unused,
  };
}

const options = () => ({ pageTimeoutMs: 1_000, signal: new AbortController().signal });

const EMPTY: Record<string, string> = {
  'tools/list': '{"tools":[]}',
  'resources/list': '{"resources":[]}',
  'resources/templates/list': '{"resourceTemplates":[]}',
  'prompts/list': '{"prompts":[]}',
};
const empty = (method: string): string => EMPTY[method] ?? '{}';

describe('readCapabilities (SPEC G-5)', () => {
  it('reads all pages and keeps the bytes of each entry (D-7)', async () => {
    const first = '{ "z":1, "name":"b", "inputSchema":{"maximum":123456789012345678901234567890}, "a": 1.0 }';
    const asked: unknown[] = [];
    const session = sessionOf({ tools: {} }, (_method, params) => {
      asked.push(params);
      return params['cursor'] === undefined
        ? `{"nextCursor":"ä\\u0041","tools":[${first}]}`
        : `{"tools":[{"name":"a"}]}`;
    });
    const { lists, validationErrors } = await readCapabilities(session, options());
    expect(lists.tool).toEqual({
      status: 'read',
      entries: [
        { originalName: 'b', definition: first },
        { originalName: 'a', definition: '{"name":"a"}' },
      ],
    });
    expect(asked).toEqual([{}, { cursor: 'äA' }]);
    expect(validationErrors).toEqual([]);
  });

  it('asks only for what the server offers', async () => {
    const asked: string[] = [];
    const session = sessionOf({ resources: {} }, (method) => {
      asked.push(method);
      return empty(method);
    });
    const { lists } = await readCapabilities(session, options());
    expect(asked.sort()).toEqual(['resources/list', 'resources/templates/list']);
    expect(lists.tool).toEqual({ status: 'absent' });
    expect(lists.resource).toEqual({ status: 'read', entries: [] });
  });

  it('takes a server without templates as one that offers none', async () => {
    const session = sessionOf({ resources: {} }, (method) =>
      method === 'resources/templates/list' ? '!{"code":-32601,"message":"Method not found"}' : empty(method),
    );
    const { lists } = await readCapabilities(session, options());
    expect(lists.resource_template).toEqual({ status: 'absent' });
  });

  it.each<[string, string, RegExp]>([
    ['an error', '!{"code":-32603,"message":"boom"}', /tools\/list.*-32603: boom/],
    ['no list', '{"tool":[]}', /has no tools/],
    ['a list that is an object', '{"tools":{}}', /not valid/],
    ['a cursor that repeats itself', '{"tools":[],"nextCursor":"x"}', /repeated a cursor/],
  ])('a list that fails with %s is reported and spoils no other', async (_what, answer, message) => {
    const session = sessionOf(ALL, (method) => (method === 'tools/list' ? answer : empty(method)));
    const { lists } = await readCapabilities(session, options());
    expect(lists.tool.status).toBe('failed');
    if (lists.tool.status === 'failed') {
      expect(lists.tool.error.code).toBe('UPSTREAM_PROTOCOL');
      expect(lists.tool.error.message).toMatch(message);
    }
    expect(lists.prompt.status).toBe('read');
    expect(lists.resource.status).toBe('read');
  });

  it(`gives up after ${MAX_PAGES} pages`, async () => {
    let pages = 0;
    const session = sessionOf({ tools: {} }, () => `{"tools":[],"nextCursor":"${++pages}"}`);
    const { lists } = await readCapabilities(session, options());
    expect(pages).toBe(MAX_PAGES);
    expect(lists.tool.status).toBe('failed');
  });

  it.each(['null', '""'])('takes the cursor %s as the end', async (cursor) => {
    const session = sessionOf({ tools: {} }, () => `{"tools":[],"nextCursor":${cursor}}`);
    expect((await readCapabilities(session, options())).lists.tool.status).toBe('read');
  });

  it('skips and reports invalid entries', async () => {
    const huge = JSON.stringify({ name: 'huge', description: 'x'.repeat(MAX_DEFINITION_BYTES) });
    const entries = [
      '{"name":"good"}',
      '{"title":"no name"}',
      '"text"',
      '{"name":7}',
      '{"name":""}',
      '{"name":"nul\\u0000"}',
      '{"name":"half \\ud800"}',
      `{"name":"${'n'.repeat(600)}"}`,
      huge,
      '{"name":"good","again":true}',
      '{"name":"a","name":"b"}',
      '{"name":"also good"}',
    ];
    const session = sessionOf({ tools: {} }, () => `{"tools":[${entries.join(',')}]}`);
    const { lists, validationErrors } = await readCapabilities(session, options());
    expect(lists.tool.status === 'read' && lists.tool.entries.map((entry) => entry.originalName)).toEqual([
      'good',
      'also good',
    ]);
    expect(validationErrors.map(({ index, reason }) => [index, reason])).toEqual([
      [1, 'name is missing'],
      [2, expect.stringContaining('not an entry: expected an object')],
      [3, 'name is not a string'],
      [4, 'name is empty'],
      [5, expect.stringContaining('not text')],
      [6, expect.stringContaining('not text')],
      [7, expect.stringContaining('too long: 600 bytes')],
      [8, expect.stringContaining('the limit is 262144')],
      [9, 'name is there twice'],
      [10, expect.stringContaining('repeated member')],
    ]);
  });

  it('bounds each page by a time-out', async () => {
    const session = sessionOf(ALL, (method, _params, request) =>
      method === 'prompts/list' ? hangUntil(request?.signal) : empty(method),
    );
    const { lists } = await readCapabilities(session, { ...options(), pageTimeoutMs: 20 });
    expect(lists.prompt.status === 'failed' && lists.prompt.error.code).toBe('UPSTREAM_TIMEOUT');
    expect(lists.tool.status).toBe('read');
  });

  it('ends with the reason of its signal', async () => {
    const controller = new AbortController();
    const session = sessionOf(ALL, (_method, _params, request) => hangUntil(request?.signal));
    const reading = readCapabilities(session, { pageTimeoutMs: 10_000, signal: controller.signal });
    controller.abort(new CodedError('CANCELLED', 'the service is shutting down'));
    await expect(reading).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

function hangUntil(signal: CancelSignal | undefined): Promise<string> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(new CodedError('CANCELLED', 'cancelled')));
  });
}
