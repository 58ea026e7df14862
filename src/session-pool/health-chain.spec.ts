import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type McpTestServer, startMcpServer } from '../../test/support/mcp-server.js';
import { UpstreamConnector } from '../upstream/upstream.connector.js';
import { type Transport, type UpstreamSession } from '../upstream/upstream.port.js';
import { HealthChain, type HealthMethod } from './health-chain.js';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function connect(url: string, transport: Transport = 'streamablehttp'): Promise<UpstreamSession> {
  const connector = new UpstreamConnector({
    connectTimeoutMs: 5_000,
    maxResponseBytes: 16 * 1024 * 1024,
    transportTimeoutMs: 5_000,
    cleanupTimeoutMs: 200,
    clientInfo: { name: 'health', version: '1' },
  });
  ends.push(() => connector.close());
  const credentials = { headers: () => ({}) };
  const session = await connector.connect({ gatewayId: 'g', gatewayName: 'gw', url, transport, credentials });
  ends.push(() => session.close('terminate'));
  return session;
}

async function real(
  transport: Transport = 'streamablehttp',
): Promise<{ server: McpTestServer; session: UpstreamSession }> {
  const server = await startMcpServer();
  ends.push(() => server.close());
  return { server, session: await connect(transport === 'sse' ? server.sseUrl : server.mcpUrl, transport) };
}

const OK = { result: {} };
const UNKNOWN = { error: { code: -32601, message: 'Method not found' } };
const BROKEN = { error: { code: -32603, message: 'Internal error' } };
const INITIALIZED = {
  result: { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 'raw', version: '1' } },
};

/** A server that answers each method as told and remembers what it was asked after the handshake. */
async function raw(answers: Readonly<Record<string, object>>, status = 200) {
  const asked: string[] = [];
  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    if (chunks.length === 0) return void res.writeHead(200).end();
    const message = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { id?: number; method: string };
    if (message.id === undefined) return void res.writeHead(202).end();
    const known = message.method === 'initialize' ? INITIALIZED : answers[message.method];
    if (message.method !== 'initialize') asked.push(message.method);
    const answer = known ?? UNKNOWN;
    res.writeHead('error' in answer ? status : 200, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...answer }));
  };
  const server: Server = createServer((req, res) => void handle(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const session = await connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
  return { session, asked };
}

function chain(methods: readonly HealthMethod[], timeoutMs = 2_000): HealthChain {
  return new HealthChain({ methods, timeoutMs });
}

describe('HealthChain (P-10)', () => {
  it.each<[Transport, HealthMethod, string]>([
    ['streamablehttp', 'ping', 'ping'],
    ['streamablehttp', 'list_tools', 'tools/list'],
    ['streamablehttp', 'list_prompts', 'prompts/list'],
    ['streamablehttp', 'list_resources', 'resources/list'],
    ['sse', 'ping', 'ping'],
    ['sse', 'list_tools', 'tools/list'],
  ])('over %s %s asks %s, once, and an answer is healthy', async (transport, method, rpc) => {
    const { server, session } = await real(transport);
    expect(await chain([method, 'list_tools', 'ping']).check(session)).toBe('healthy');
    const { initialize: _i, 'notifications/initialized': _n, ...asked } = server.stats.requests;
    expect(asked).toEqual({ [rpc]: 1 });
  });

  it('skip is healthy and asks nothing, whatever stands behind it', async () => {
    const { session, asked } = await raw({});
    expect(await chain(['skip', 'ping']).check(session)).toBe('healthy');
    expect(asked).toEqual([]);
  });

  it.each([200, 400])('"method not found" (HTTP %i) goes on to the next, in order', async (status) => {
    const { session, asked } = await raw({ 'prompts/list': OK }, status);
    const methods: HealthMethod[] = ['ping', 'list_tools', 'list_prompts', 'list_resources', 'skip'];
    expect(await chain(methods).check(session)).toBe('healthy');
    expect(asked).toEqual(['ping', 'tools/list', 'prompts/list']);
  });

  it('goes on to skip, which is healthy; a chain that ends is not', async () => {
    const { session, asked } = await raw({});
    expect(await chain(['ping', 'skip']).check(session)).toBe('healthy');
    expect(await chain(['ping', 'list_tools']).check(session)).toBe('unhealthy');
    expect(await chain([]).check(session)).toBe('unhealthy');
    expect(asked).toEqual(['ping', 'ping', 'tools/list']);
  });

  it('any other error of the server is unhealthy at once', async () => {
    const { session, asked } = await raw({ ping: BROKEN, 'tools/list': OK });
    expect(await chain(['ping', 'list_tools', 'skip']).check(session)).toBe('unhealthy');
    expect(asked).toEqual(['ping']);
  });

  it.each<[string, object]>([
    ['null', { error: null }],
    ['a text', { error: '-32601' }],
    ['without a code', { error: {} }],
    ['with the code as text', { error: { code: '-32601' } }],
  ])('an error that is %s is unhealthy', async (_what, answer) => {
    const { session } = await raw({ ping: answer });
    expect(await chain(['ping', 'skip']).check(session)).toBe('unhealthy');
  });

  // The system of the seeds went on to `skip` after a time-out, so a hung session passed its check.
  it.each<Transport>(['streamablehttp', 'sse'])('silence is unhealthy after the time-out (%s)', async (transport) => {
    const { server, session } = await real(transport);
    server.faults.stall = 'ping';
    const begun = performance.now();
    expect(await chain(['ping', 'list_tools', 'skip'], 50).check(session)).toBe('unhealthy');
    expect(performance.now() - begun).toBeGreaterThanOrEqual(45);
    expect(performance.now() - begun).toBeLessThan(1_500);
    expect(server.stats.requests['tools/list']).toBeUndefined();
  });

  it('a check that found silence does not spoil the next one', async () => {
    const { server, session } = await real();
    server.faults.stall = 'all';
    expect(await chain(['ping'], 30).check(session)).toBe('unhealthy');
    delete server.faults.stall;
    expect(await chain(['ping'], 2_000).check(session)).toBe('healthy');
  });

  it.each<[string, (server: McpTestServer) => unknown]>([
    ['has forgotten the session', (server) => server.dropSessions()],
    ['has gone', (server) => server.stop()],
    ['answers with HTTP 500', (server) => (server.faults.answer = 500)],
    ['answers with HTTP 401', (server) => (server.faults.answer = 401)],
    ['answers with a page', (server) => (server.faults.answer = 'html')],
  ])('a server that %s is unhealthy', async (_what, spoil) => {
    const { server, session } = await real();
    await spoil(server);
    expect(await chain(['ping', 'skip']).check(session)).toBe('unhealthy');
  });

  it('a lost session is unhealthy at once, also for skip', async () => {
    const { server, session } = await real();
    await session.close('detach');
    expect(await chain(['skip']).check(session)).toBe('unhealthy');
    expect(await chain(['ping', 'skip']).check(session)).toBe('unhealthy');
    expect(server.stats.requests['ping']).toBeUndefined();
  });

  it('ends when its caller gives up, without a throw and without the time-out', async () => {
    const { server, session } = await real();
    server.faults.stall = 'ping';
    const giveUp = new AbortController();
    const checking = chain(['ping', 'skip'], 20_000).check(session, giveUp.signal);
    await server.waitFor(({ stalled }) => stalled === 1);
    const begun = performance.now();
    giveUp.abort();
    expect(await checking).toBe('unhealthy');
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(await chain(['ping', 'skip']).check(session, AbortSignal.abort())).toBe('unhealthy');
  });
});
