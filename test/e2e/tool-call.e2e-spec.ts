import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { rpcError, startRawMcp } from '../support/raw-mcp.js';
import { type Replica, startReplica } from '../support/replica.js';
import { register, type RpcAnswer, send } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';
import { bearer, TEST_JWT_SECRET } from '../support/tokens.js';

/* The REST twin of tools/call: SPEC D-4, D-7, D-8, §8. */

const JSON_TYPE = { 'content-type': 'application/json' };

let database: TestDatabase;
let server: McpTestServer;
let replica: Replica;
let user: Record<string, string>;

beforeAll(async () => {
  database = await createDatabase();
  server = await startMcpServer();
  replica = await startReplica({
    ...{ DATABASE_URL: database.url, MAX_BODY_BYTES: '65536' },
    ...{ AUTH_MODE: 'jwt', JWT_SECRET: TEST_JWT_SECRET },
  });
  user = await bearer('someone');
  await add('Demo', server.mcpUrl);
});

afterAll(async () => {
  await replica.close();
  await server.close();
  await database.drop();
});

async function add(name: string, url: string): Promise<string> {
  return (await register(replica.url, { name, url }, await bearer('root', { scope: 'admin' }))).id;
}

function call(tool: string, body?: string | Buffer, headers: Record<string, string> = {}): Promise<RpcAnswer> {
  return send('POST', `${replica.url}/tools/${tool}/call`, { ...JSON_TYPE, ...user, ...headers }, body);
}

function expectProblem({ status, headers, json, text }: RpcAnswer, http: number, code: string): void {
  expect([status, headers.get('content-type'), json]).toEqual([
    http,
    expect.stringMatching(/^application\/problem\+json/),
    expect.objectContaining({ status: http, code, requestId: headers.get('x-request-id') }),
  ]);
  expect(text).not.toMatch(/node_modules|\.ts:\d/);
}

describe('POST /tools/:name/call (D-4)', () => {
  it('answers with the result as the server sent it, and sends the arguments as they came (D-7)', async () => {
    const result =
      '{"content":[ {"type":"text","text":"\\u00e9"} ],"structuredContent":{"n":12345678901234567890,"one":1.0},"x":[1.50]}';
    server.faults.rawResult = { tool: 'echo', json: result };
    const args = '{ "text":"é","n":12345678901234567890, "one":1.0 ,"e":1E400 }';
    const answer = await call('demo-echo', args);
    delete server.faults.rawResult;
    expect([answer.status, answer.text]).toEqual([200, result]);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(server.lastBody('tools/call')).toContain(`"params":{"name":"echo","arguments":${args}}`);
  });

  it('a tool that fails has answered: status 200 with isError', async () => {
    const { status, json } = await call('demo-fail', '{"message":"no"}');
    expect([status, json]).toEqual([200, { content: [{ type: 'text', text: 'no' }], isError: true }]);
  });

  it.each(['/', ''])('an empty body is no arguments (%j at the end of the path)', async (slash) => {
    const path = `${replica.url}/tools/demo-fail/call${slash}`;
    const answer = await send('POST', path, { ...JSON_TYPE, ...user });
    expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('this tool always fails')]);
    expect(server.lastBody('tools/call')).toContain('"arguments":{}}');
  });

  it('is pooled by identity: two tokens of one user share a session, two users do not (P-6)', async () => {
    const before = server.stats.initialize;
    const sessions = [];
    for (const headers of [await bearer('u1'), await bearer('u1'), await bearer('u2')]) {
      const { json } = await call('demo-whoami', '{}', headers);
      const [content] = (json as { content?: { text: string }[] }).content ?? [];
      sessions.push((JSON.parse(content?.text ?? '{}') as { sessionId: string }).sessionId);
    }
    expect(new Set(sessions).size).toBe(2);
    expect(sessions[0]).toBe(sessions[1]);
    expect(server.stats.initialize - before).toBe(2);
  });

  it('hands on the trace context of this request alone (P-16)', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    expect((await call('demo-whoami', '{}', { traceparent })).text).toContain(traceparent);
    expect((await call('demo-whoami', '{}')).text).not.toContain('traceparent');
  });

  it('is counted as the other ways are', async () => {
    const counted = async () => {
      const text = await (await fetch(`${replica.url}/metrics`)).text();
      const value = (outcome: string) =>
        Number(
          new RegExp(
            `_requests_total\\{endpoint="/tools/:name/call",method="tools/call",outcome="${outcome}"\\} (\\d+)`,
          ).exec(text)?.[1] ?? 0,
        );
      return [value('ok'), value('UNKNOWN_TOOL')];
    };
    const [ok = 0, unknown = 0] = await counted();
    await call('demo-echo', '{"text":"x"}');
    await call('demo-nothing', '{}');
    expect(await counted()).toEqual([ok + 1, unknown + 1]);
  });

  it('is in the OpenAPI document, with its errors', async () => {
    const document = (await (await fetch(`${replica.url}/openapi.json`)).json()) as {
      paths: Record<string, { post?: { responses: Record<string, unknown> } }>;
    };
    const { responses = {} } = document.paths['/tools/{name}/call']?.post ?? {};
    expect(Object.keys(responses)).toEqual(['200', '400', '404', '409', '413', '415', '502', '503', '504']);
  });
});

describe('what it refuses is a problem document (§8)', () => {
  it.each<[string, number, string, string | Buffer, Record<string, string>]>([
    ['a list', 400, 'INVALID_PARAMS', '[1]', {}],
    ['a string', 400, 'INVALID_PARAMS', '"{}"', {}],
    ['a member twice', 400, 'INVALID_PARAMS', '{"a":1,"a":2}', {}],
    ['no JSON', 400, 'PARSE_ERROR', '{"a":', {}],
    ['two values', 400, 'PARSE_ERROR', '{}{}', {}],
    ['a way out of the arguments', 400, 'PARSE_ERROR', '{},"name":"demo-add"', {}],
    ['no UTF-8', 400, 'PARSE_ERROR', Buffer.from('{"a":"\xff"}', 'latin1'), {}],
    ['text', 415, 'UNSUPPORTED_MEDIA_TYPE', '{}', { 'content-type': 'text/plain' }],
    ['another JSON', 415, 'UNSUPPORTED_MEDIA_TYPE', '{}', { 'content-type': 'application/x+json' }],
    ['too much', 413, 'PAYLOAD_TOO_LARGE', JSON.stringify({ a: 'x'.repeat(65_536) }), {}],
    ['another encoding', 415, 'UNSUPPORTED_MEDIA_TYPE', '{}', { 'content-encoding': 'x' }],
    ['no token', 401, 'UNAUTHORIZED', '{}', { authorization: '' }],
  ])('%s: %d %s', async (_what, status, code, body, headers) => {
    const before = server.stats.requests['tools/call'];
    expectProblem(await call('demo-echo', body, headers), status, code);
    expect(server.stats.requests['tools/call']).toBe(before);
  });

  it('a token without the scope', async () => {
    expectProblem(await call('demo-echo', '{}', await bearer('reader', { scope: 'gateways:read' })), 403, 'FORBIDDEN');
  });

  it.each(['demo-nothing', 'a%00b', 'x'.repeat(100)])('an unknown tool: %s', async (tool) => {
    expectProblem(await call(tool, '{}'), 404, 'UNKNOWN_TOOL');
  });

  it("the server's own JSON-RPC error: 502 with what the server said, also when it blames the arguments", async () => {
    const raw = await startRawMcp((message, res) => {
      if (message.method === 'tools/list') return { tools: [{ name: 'moody', inputSchema: { type: 'object' } }] };
      return void rpcError(res, message, -32602, 'text is missing');
    });
    const id = await add('Raw', raw.url);
    const answer = await call('raw-moody', '{}');
    expectProblem(answer, 502, 'UPSTREAM_ERROR');
    expect(answer.json).toMatchObject({ rpcCode: -32602, rpcMessage: 'text is missing', retryable: false });
    await send('DELETE', `${replica.url}/gateways/${id}`, await bearer('root', { scope: 'admin' }));
    await raw.close();
  });

  it('a server that is gone: 502', async () => {
    const gone = await startMcpServer();
    const id = await add('Gone', gone.mcpUrl);
    await gone.close();
    const answer = await call('gone-echo', '{"text":"x"}');
    expectProblem(answer, 502, 'UPSTREAM_UNAVAILABLE');
    expect(answer.json).toMatchObject({ gateway: 'Gone', reason: 'refused' });
    await send('DELETE', `${replica.url}/gateways/${id}`, await bearer('root', { scope: 'admin' }));
  });
});

it('a client that goes away cancels the tool at the server (D-8)', async () => {
  const before = server.stats.cancelled;
  const outgoing = httpRequest(`${replica.url}/tools/demo-gate/call`, {
    ...{ method: 'POST', agent: false, headers: { ...JSON_TYPE, ...user } },
  });
  const failed = once(outgoing, 'error');
  outgoing.end('{}');
  await server.waitFor(({ atGate }) => atGate === 1);
  outgoing.destroy(new Error('gone'));
  await failed;
  await server.waitFor(({ cancelled }) => cancelled === before + 1);
});
