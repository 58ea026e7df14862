import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { runToEnd, type ServiceProcess, startProcess } from '../support/process.js';
import { post, register, request, send } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';
import { until } from '../support/until.js';

const LONG = 120_000;
let server: McpTestServer;
let directory: string;
let database: TestDatabase;

beforeAll(async () => {
  server = await startMcpServer();
  directory = await mkdtemp(join(tmpdir(), 'start-'));
  database = await createDatabase();
});

afterAll(async () => {
  await server.close();
  await rm(directory, { recursive: true, force: true });
  await database.drop();
});

async function echo(service: ServiceProcess, name = 'kept-echo'): Promise<unknown> {
  const answer = await post(`${service.url}/rpc`, request('tools/call', { name, arguments: { text: 'hi' } }));
  return answer.json.result?.['content'];
}

describe.each([
  ['embedded', () => ({ DATA_DIR: join(directory, 'kept') })],
  ['Postgres', () => ({ DATABASE_URL: database.url })],
])('%s: register, kill -9, start again', (_name, envOf) => {
  it(
    'the gateway and its tools are still there, and calls go on',
    async () => {
      const first = await startProcess(envOf());
      const secret = { type: 'bearer', token: 'upstream-secret' };
      const { id } = await register(first.url, { name: 'Kept', url: server.mcpUrl, auth: secret });
      expect(await echo(first)).toEqual([{ type: 'text', text: 'hi' }]);
      expect(await first.end('SIGKILL')).toBe('SIGKILL');

      const second = await startProcess(envOf());
      expect((await send('GET', `${second.url}/gateways/${id}`)).json).toMatchObject({ id, name: 'Kept' });
      expect(await echo(second)).toEqual([{ type: 'text', text: 'hi' }]);
      expect(second.output()).not.toContain('upstream-secret');
      expect(await second.end()).toBe(0);
    },
    LONG,
  );
});

describe('the graceful end', () => {
  it(
    'SIGTERM: the running call is answered, new ones get 503, upstream sessions are terminated, exit 0',
    async () => {
      const own = await createDatabase();
      const service = await startProcess({ DATABASE_URL: own.url });
      await register(service.url, { name: 'Slow', url: server.mcpUrl });
      const before = server.stats.openSessions;
      const running = post(`${service.url}/rpc`, request('tools/call', { name: 'slow-gate', arguments: {} }));
      await server.waitFor((stats) => (stats.calls['gate'] ?? 0) > 0);
      const ended = service.end();
      await until(async () => (await send('GET', `${service.url}/ready`)).status === 503, { what: 'readiness is red' });
      const refused = await post(`${service.url}/rpc`, request('tools/list'));
      expect(refused.status).toBe(503);
      expect(refused.json.error?.data).toMatchObject({ code: 'SHUTTING_DOWN', retryable: true });
      server.openGate();
      expect((await running).status).toBe(200);
      expect(await ended).toBe(0);
      expect(server.stats.openSessions).toBeLessThanOrEqual(before);
      await own.drop();
    },
    LONG,
  );
});

describe('the graceful end of REST', () => {
  it(
    'a registration that runs at SIGTERM is finished; new ones are refused, probes answered to the end',
    async () => {
      const own = await createDatabase();
      const slow = await startMcpServer();
      slow.faults.initializeDelayMs = 700;
      const service = await startProcess({ DATABASE_URL: own.url });
      const running = register(service.url, { name: 'Late', url: slow.mcpUrl });
      await slow.waitFor((stats) => (stats.requests['initialize'] ?? 0) > 0);
      const ended = service.end();
      await until(async () => (await send('GET', `${service.url}/ready`)).status === 503, { what: 'readiness is red' });
      const refused = await post(`${service.url}/gateways`, { name: 'Later', url: slow.mcpUrl });
      expect([refused.status, refused.headers.get('content-type')]).toEqual([503, 'application/problem+json']);
      expect((await send('GET', `${service.url}/health`)).status).toBe(200);
      expect((await running)['name']).toBe('Late');
      expect(await ended).toBe(0);
      await slow.close();
      await own.drop();
    },
    LONG,
  );
});

describe('a start that cannot succeed ends with one clear line and exit code 1', () => {
  const cases: [string, () => Promise<Record<string, string>>, RegExp][] = [
    [
      'a refused DATABASE_URL',
      async () => ({ DATABASE_URL: 'postgres://u:pass-word@127.0.0.1:1/x' }),
      /^.*DATABASE_URL.*\n$/,
    ],
    [
      'a database that is not there',
      async () => ({ DATABASE_URL: database.url.replace(/\/[^/]*$/, '/nowhere_at_all') }),
      /^.*DATABASE_URL.*\n$/,
    ],
    [
      'a corrupt data directory',
      async () => {
        const corrupt = join(directory, 'corrupt');
        await mkdir(join(corrupt, 'pg'), { recursive: true });
        await writeFile(join(corrupt, 'pg', 'PG_VERSION'), 'garbage');
        return { DATA_DIR: corrupt };
      },
      /^.*DATA_DIR.*\n$/,
    ],
    [
      'a data directory that is a file',
      async () => {
        await writeFile(join(directory, 'file'), '');
        return { DATA_DIR: join(directory, 'file') };
      },
      /^.*DATA_DIR.*\n$/,
    ],
  ];
  it.each(cases)(
    '%s',
    async (_what, envOf, line) => {
      const { code, stderr } = await runToEnd({ ...(await envOf()), LOG_LEVEL: 'silent' });
      expect(stderr).toMatch(line);
      expect(stderr).not.toContain('pass-word');
      expect(code).toBe(1);
    },
    LONG,
  );

  it(
    'a data directory that another process uses',
    async () => {
      const dataDir = join(directory, 'locked');
      const holder = await startProcess({ DATA_DIR: dataDir });
      const { code, stderr } = await runToEnd({ DATA_DIR: dataDir, LOG_LEVEL: 'silent' });
      expect(stderr).toMatch(/^.*DATA_DIR.*\n$/);
      expect(stderr).toContain(String(holder.child.pid));
      expect(code).toBe(1);
      expect(await holder.end()).toBe(0);
      expect((await readdir(dataDir)).filter((name) => name.includes('lock') || name.endsWith('.pid'))).toEqual([]);
    },
    LONG,
  );

  it(
    'settings: every problem in one message',
    async () => {
      const { code, stderr } = await runToEnd({ PORT: 'x', MCP_SESSION_POOL_MAX_PERKEY: '3', AUTH_MODE: 'jwt' });
      expect(code).toBe(1);
      expect(stderr).toContain('PORT must be a number');
      expect(stderr).toContain('did you mean MCP_SESSION_POOL_MAX_PER_KEY?');
    },
    LONG,
  );

  it(
    'a port that is taken',
    async () => {
      const env = { DATABASE_URL: database.url, LOG_LEVEL: 'silent', PORT: String(server.port) };
      const { code, stderr } = await runToEnd(env);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/^127\.0\.0\.1:\d+ is in use.*\n$/)]);
    },
    LONG,
  );
});
