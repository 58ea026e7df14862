import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type ServiceProcess, startProcess } from '../support/process.js';
import { ask, type RawAnswer } from '../support/raw-http.js';
import { random } from '../support/random.js';
import { initialize, initializeAt, post, register, request, send } from '../support/rpc.js';
import { createDatabase, type TestDatabase } from '../support/services.js';
import { type FuzzAnswer, Fuzzer, type FuzzRequest, fire, type Known } from './fuzz.support.js';
import { figures } from './pool-world.support.js';

/** `FUZZ_REQUESTS=20000 FUZZ_SEED=7 npm test -- test/e2e/fuzz` (npm run soak:fuzz); a finding is found again by its seed. */
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 1_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_251_125);
const VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26'];
/** Sessions and the gateway are made anew after so many: otherwise the fuzz would soon speak to nobody. */
const RENEW_AFTER = 200;
const AT_ONCE = 8;
/** An answer that does not come in that time is a stream, or waits for bytes that never come. */
const PATIENCE_MS = 400;
/** The healthy client's calls must not take longer than this beside the fuzz. */
const CALM_MS = 5_000;
const LONG = 60_000 + REQUESTS * 100;

let database: TestDatabase;
let server: McpTestServer;
let service: ServiceProcess;
const streams: RawAnswer[] = [];
let known: Known;

beforeAll(async () => {
  database = await createDatabase();
  server = await startMcpServer();
  service = await startProcess({ DATABASE_URL: database.url, SSE_AFTER_MS: '100', CALL_TIMEOUT_SECONDS: '5' });
  await register(service.url, { name: 'Calm', url: server.mcpUrl });
  known = await renewed();
}, 120_000);

afterAll(async () => {
  for (const stream of streams) stream.cut();
  await service.end('SIGKILL');
  await server.close();
  await database.drop();
});

/** What the fuzz may change and end. */
async function renewed(): Promise<Known> {
  for (const stream of streams.splice(0)) stream.cut();
  const { items } = (await send('GET', `${service.url}/gateways`)).json as { items: { id: string; name: string }[] };
  await Promise.all(
    items.filter(({ name }) => name !== 'Calm').map(({ id }) => send('DELETE', `${service.url}/gateways/${id}`)),
  );
  const { id } = await register(service.url, { name: 'Demo', url: server.mcpUrl });
  return { gatewayId: id, sessionIds: await sessions(id), sseSessionIds: await sseSessions() };
}

async function sessions(gatewayId: string): Promise<string[]> {
  const opened = await Promise.all(
    Array.from({ length: 12 }, (_, n) =>
      initializeAt(service.url + (n < 8 ? '/mcp' : `/gateways/${gatewayId}/mcp`), {}, VERSIONS[n % 3]),
    ),
  );
  return opened.map((headers) => headers['mcp-session-id'] ?? '');
}

async function sseSessions(): Promise<string[]> {
  const stream = await ask('GET', `${service.url}/sse`, { accept: 'text/event-stream' });
  streams.push(stream);
  const { data } = await stream.block(({ event }) => event === 'endpoint', 'the endpoint');
  const id = new URL(String(data), service.url).searchParams.get('sessionId') ?? '';
  await post(`${service.url}/messages?sessionId=${id}`, request('initialize', { protocolVersion: '2024-11-05' }));
  return [id];
}

/** What must never be: a 5xx without a JSON body, or one that nobody foresaw; a body that claims to be JSON and is none. */
function complaint({ status, head, body }: FuzzAnswer): string | undefined {
  const isJson = /^content-type: application\/(problem\+)?json/im.test(head);
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? NaN);
  if (status >= 500 && !isJson) return 'a 5xx without JSON';
  if (status === 500) return 'a fault of ours';
  if (!isJson || !(body.length === length) || length === 0) return undefined;
  try {
    JSON.parse(Buffer.from(body, 'latin1').toString('utf8'));
    return undefined;
  } catch {
    return 'a JSON body that is none';
  }
}

/** A good client that calls all the time, in a session and without one. */
async function healthy(stopped: () => boolean): Promise<{ calls: number; slowestMs: number }> {
  const session = await initialize(service.url);
  let calls = 0;
  let slowestMs = 0;
  while (!stopped()) {
    const text = `healthy-${calls}`;
    const started = performance.now();
    const [path, headers] = calls % 2 === 0 ? ['/mcp', session] : ['/rpc', {}];
    const answer = await post(
      service.url + path,
      request('tools/call', { name: 'calm-echo', arguments: { text } }),
      headers,
    );
    slowestMs = Math.max(slowestMs, performance.now() - started);
    // JSON, or, when the machine is slow, an event stream.
    expect(answer.text).toContain(`"result":{"content":[{"type":"text","text":"${text}"}]}`);
    calls += 1;
  }
  return { calls, slowestMs };
}

describe(`fuzz, ${REQUESTS} requests of seed ${SEED}`, () => {
  it(
    'never a 5xx without JSON or a fault of ours, never a crash, and a healthy client beside it is never disturbed',
    async () => {
      const fuzzer = new Fuzzer(random(SEED), known);
      const port = Number(new URL(service.url).port);
      const findings: string[] = [];
      const statuses: Record<string, number> = {};
      let at = 0;
      let over = false;
      const worker = async (): Promise<void> => {
        while (at < REQUESTS) {
          const number = (at += 1) - 1;
          if (number % RENEW_AFTER === 0) Object.assign(known, await renewed());
          const shot = fuzzer.next();
          const answer = await fire(port, shot, PATIENCE_MS);
          const status = answer.status === 0 ? 'none' : String(answer.status);
          statuses[status] = (statuses[status] ?? 0) + 1;
          const wrong = complaint(answer);
          if (wrong)
            findings.push(
              `#${number}: ${wrong}: ${shown(shot)} => ${answer.head.split('\r\n')[0]} ${answer.body.slice(0, 300)}`,
            );
        }
      };
      const client = healthy(() => over);
      const work = Promise.all(Array.from({ length: AT_ONCE }, worker)).finally(() => (over = true));
      const [{ calls, slowestMs }] = await Promise.all([client, work]);

      figures('fuzz', { ...statuses, 'healthy calls': calls, 'slowest, ms': slowestMs });
      expect(findings).toEqual([]);
      expect(calls).toBeGreaterThan(REQUESTS / 200);
      expect(slowestMs).toBeLessThan(CALM_MS);
      expect(service.child.exitCode).toBeNull();
      expect((await send('GET', `${service.url}/health`)).status).toBe(200);
      expect(service.output()).not.toMatch(/unhandled|uncaught|"level":"(fatal|error)"/i);
      expect(await service.end()).toBe(0);
    },
    LONG,
  );
});

function shown({ method, path, headers, body, rawHead }: FuzzRequest): string {
  const head = rawHead
    ? JSON.stringify(rawHead.toString('latin1').slice(0, 600))
    : JSON.stringify(headers).slice(0, 600);
  return `${method} ${path.slice(0, 200)} ${head} ${JSON.stringify(body.toString('latin1').slice(0, 400))}`;
}
