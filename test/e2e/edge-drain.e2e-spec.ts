import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type ServiceProcess, startProcess } from '../support/process.js';
import { ask, askAll, type Block, type RawAnswer } from '../support/raw-http.js';
import { register, request, send } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';
import { until } from '../support/until.js';
import { HttpClient } from './edge-world.support.js';

/** SIGTERM with open streams (SPEC A-10), in a process of its own. */
const LONG = 120_000;
let server: McpTestServer;
let database: TestDatabase;

beforeAll(async () => {
  server = await startMcpServer();
  database = await createDatabase();
});

afterAll(async () => {
  await server.close();
  await database.drop();
});

const hints = ({ blocks }: RawAnswer): Block[] => blocks.filter(({ retry }) => retry !== undefined);
const isResult = ({ result }: { result?: unknown }): boolean => result !== undefined;

async function start(name: string, env: Record<string, string>): Promise<ServiceProcess> {
  const service = await startProcess({ DATABASE_URL: database.url, SSE_AFTER_MS: '100', ...env });
  await register(service.url, { name, url: server.mcpUrl });
  return service;
}

/** An HTTP+SSE client with a call in flight. */
async function sseCall(url: string, tool: string): Promise<RawAnswer> {
  const stream = await ask('GET', `${url}/sse`, { accept: 'text/event-stream' });
  const { data } = await stream.block(({ event }) => event === 'endpoint', 'the endpoint');
  const post = (body: object): Promise<RawAnswer> =>
    askAll('POST', url + String(data), { 'content-type': 'application/json' }, body);
  await post(request('initialize', { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: {} }));
  await stream.message(isResult, 'initialize is answered');
  await post({ jsonrpc: '2.0', id: 'call', method: 'tools/call', params: { name: tool, arguments: {} } });
  return stream;
}

describe('SIGTERM with open streams (A-10)', () => {
  it(
    'idle streams end with a retry hint at once; running calls are answered on theirs, then those end; exit 0',
    async () => {
      const service = await start('Drain', {});
      const [idle, busy] = [await HttpClient.open(`${service.url}/mcp`), await HttpClient.open(`${service.url}/mcp`)];
      const standing = await idle.listen();
      const running = await busy.call('drain-gate');
      expect(running.headers['content-type']).toBe('text/event-stream');
      const over = await sseCall(service.url, 'drain-gate');
      await server.waitFor(({ atGate }) => atGate === 2);

      const ended = service.end();
      await until(async () => (await send('GET', `${service.url}/ready`)).status === 503, { what: 'readiness is red' });
      expect(await standing.end()).toBe('complete');
      expect(hints(standing)).toEqual([{ retry: '1000' }]);
      const refused = await busy.post(request('ping'));
      expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
      expect([running.ended, over.ended]).toEqual([undefined, undefined]);

      server.openGate();
      expect(await running.end()).toBe('complete');
      expect(running.messages).toMatchObject([{ result: { content: [{ text: 'through' }] } }]);
      expect(hints(running)).toEqual([]);
      expect(await over.end()).toBe('complete');
      expect(over.messages.at(-1)).toMatchObject({ id: 'call', result: { content: [{ text: 'through' }] } });
      expect(hints(over)).toEqual([{ retry: '1000' }]);
      expect(await ended).toBe(0);
    },
    LONG,
  );

  it(
    'a call that outlasts SHUTDOWN_DEADLINE_SECONDS: its stream ends with a retry hint; exit 0',
    async () => {
      const service = await start('Late', { SHUTDOWN_DEADLINE_SECONDS: '0.5' });
      const client = await HttpClient.open(`${service.url}/mcp`);
      const running = await client.call('late-gate');
      await server.waitFor(({ atGate }) => atGate === 1);
      const ended = service.end();
      expect(await running.end()).toBe('complete');
      expect(hints(running)).toEqual([{ retry: '1000' }]);
      expect(running.messages).toEqual([]);
      expect(await ended).toBe(0);
      expect(service.output()).toContain('SHUTDOWN_DEADLINE_SECONDS');
    },
    LONG,
  );
});
