// Opens and expires many upstream sessions through a real gateway process and looks at what is left of them.
//   node bench/pool-soak.mjs [--sessions 10000] [--bound 0.2] [--concurrency 32] [--ttl 1] [--json]
// Needs dist/ (npm run build). With DATABASE_URL and ENCRYPTION_KEY it uses that database, else an embedded one. Exit code 1 if anything is left: a session at the server, file descriptors, heap.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Agent, request } from 'undici';
import { HERE, LISTENS, MAIN, Processes, READY } from './processes.mjs';
import { flags, mmm, rssKb, sleep } from './util.mjs';

const SETTLE_MS = 20_000;
const TOLERANCE = 0.05;
/** Below that a difference is noise of the runtime itself (a lazily compiled function, a timer list). */
const HEAP_FLOOR = 1024 * 1024;
const FD_FLOOR = 4;

const o = flags({ sessions: 10_000, bound: 0.2, concurrency: 32, ttl: 1, json: false });
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'pool-soak-'));
const processes = new Processes();
const agent = new Agent({ connections: o.concurrency, keepAliveTimeout: 1_000, keepAliveMaxTimeout: 1_000 });
let ids = 0;

try {
  process.exitCode = (await main()) ? 0 : 1;
} finally {
  await agent.destroy();
  await processes.endAll();
  fs.rmSync(dir, { recursive: true, force: true });
}

async function main() {
  const fixture = await processes.start(
    [path.join(HERE, 'fixture.mjs'), '--port', '0', '--keep-alive', '1000'],
    {},
    READY,
  );
  const { DATABASE_URL, ENCRYPTION_KEY } = process.env;
  const gateway = await processes.start(
    ['--expose-gc', '--import', path.join(HERE, 'gc-on-signal.mjs'), MAIN],
    {
      PORT: '0',
      DATA_DIR: path.join(dir, 'data'),
      LOG_LEVEL: 'info',
      // Only the pool's sessions are counted.
      GATEWAY_WATCH_ENABLED: 'false',
      HEALTH_CHECK_INTERVAL: '3600',
      MCP_SESSION_POOL_TTL: String(o.ttl),
      MCP_SESSION_POOL_IDLE_EVICTION: String(o.ttl),
      ...(DATABASE_URL ? { DATABASE_URL, ENCRYPTION_KEY } : {}),
    },
    LISTENS,
  );
  await call(gateway.url, '/gateways', { name: 'soak', url: `${fixture.url}/mcp` }, {}, 201);

  // As much of the same as makes every cache and every code path as warm as it gets.
  const warmUp = Math.min(o.sessions, Math.max(200, Math.round(o.sessions / 10)));
  await churn(gateway.url, warmUp, 'warm');
  const before = await atRest(fixture, gateway);
  const started = performance.now();
  const peak = await churn(gateway.url, o.sessions, 'soak', () => sample(fixture, gateway));
  const seconds = (performance.now() - started) / 1000;
  const after = await atRest(fixture, gateway);
  return report({ before, peak, after, seconds });
}

/** `count` sessions: most of them lent to an identity of their own, the others bound to a client's session. */
async function churn(url, count, prefix, look) {
  let done = 0;
  let peak;
  const worker = async () => {
    while (done < count) {
      const number = (done += 1);
      if (number % 1000 === 500 && look) peak = most(peak, await look());
      if ((number % 100) / 100 < o.bound) await boundCall(url, `${prefix}-${number}`);
      else await echo(url, '/rpc', `${prefix}-${number}`, { 'x-user-id': `${prefix}-${number}` });
    }
  };
  await Promise.all(Array.from({ length: o.concurrency }, worker));
  return peak;
}

async function boundCall(url, text) {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'soak', version: '1' } };
  const { headers } = await call(url, '/mcp', rpc('initialize', params));
  const session = { 'mcp-session-id': headers['mcp-session-id'], 'mcp-protocol-version': '2025-11-25' };
  await echo(url, '/mcp', text, session);
  const { body } = await request(`${url}/mcp`, { method: 'DELETE', headers: session, dispatcher: agent });
  await body.dump();
}

async function echo(url, at, text, headers) {
  const { json } = await call(url, at, rpc('tools/call', { name: 'soak-echo', arguments: { text } }), headers);
  if (json.result?.content?.[0]?.text !== text) throw new Error(`wrong answer: ${JSON.stringify(json).slice(0, 300)}`);
}

function rpc(method, params) {
  return { jsonrpc: '2.0', id: (ids += 1), method, params };
}

async function call(url, at, body, headers = {}, wanted = 200) {
  const answer = await request(url + at, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify(body),
    dispatcher: agent,
  });
  const text = await answer.body.text();
  if (answer.statusCode !== wanted) throw new Error(`${at}: HTTP ${answer.statusCode} ${text.slice(0, 300)}`);
  return { headers: answer.headers, json: JSON.parse(text) };
}

/** Waits until nothing is open at the server and the sockets have gone, then reads heap several times. */
async function atRest(fixture, gateway) {
  const deadline = performance.now() + SETTLE_MS + o.ttl * 2000;
  let [now, same] = [await sample(fixture, gateway), 0];
  while (performance.now() < deadline && (now.active > 0 || same < 5)) {
    await sleep(300);
    const next = await sample(fixture, gateway);
    same = next.fds === now.fds ? same + 1 : 0;
    now = next;
  }
  const heaps = [];
  for (let round = 0; round < 5; round += 1) {
    gateway.child.kill('SIGUSR2');
    await sleep(200);
    heaps.push((await sample(fixture, gateway)).heap);
  }
  return { ...now, heap: mmm(heaps).min };
}

async function sample(fixture, gateway) {
  const { opened, closed, active, maxActive } = await get(`${fixture.url}/control/stats`, (text) => JSON.parse(text));
  const heap = await get(`${gateway.url}/metrics`, (text) =>
    Number(/^nodejs_heap_size_used_bytes (\S+)/m.exec(text)?.[1]),
  );
  const { pid } = gateway.child;
  return { opened, closed, active, maxActive, heap, fds: fs.readdirSync(`/proc/${pid}/fd`).length, rssKb: rssKb(pid) };
}

async function get(url, read) {
  const { body } = await request(url, { dispatcher: agent });
  return read(await body.text());
}

function most(peak, now) {
  if (!peak) return now;
  return Object.fromEntries(Object.entries(now).map(([name, value]) => [name, Math.max(value, peak[name])]));
}

function report({ before, peak = before, after, seconds }) {
  const opened = after.opened - before.opened;
  const terminated = after.closed - before.closed;
  const backAt = (name, floor) => after[name] - before[name] <= Math.max(floor, before[name] * TOLERANCE);
  const checks = {
    'opened = terminated': opened === terminated && after.active === 0,
    'every session was opened': opened >= o.sessions,
    'file descriptors back': backAt('fds', FD_FLOOR),
    'heap back': backAt('heap', HEAP_FLOOR),
  };
  const ok = Object.values(checks).every(Boolean);
  if (o.json) {
    console.log(JSON.stringify({ sessions: o.sessions, opened, terminated, seconds, before, peak, after, checks, ok }));
    return ok;
  }
  const mib = (bytes) => (bytes / 1024 / 1024).toFixed(1);
  const row = (name, read) =>
    `${name.padEnd(28)}${[before, peak, after].map((at) => String(read(at)).padStart(10)).join('')}`;
  console.log(`${o.sessions} sessions in ${seconds.toFixed(1)} s (${Math.round(o.sessions / seconds)}/s)`);
  console.log(`${''.padEnd(28)}${['before', 'peak', 'after'].map((name) => name.padStart(10)).join('')}`);
  console.log(row('open at the server', ({ active }) => active));
  console.log(row('file descriptors', ({ fds }) => fds));
  console.log(row('heap in use, MiB', ({ heap }) => mib(heap)));
  console.log(row('resident memory, MiB', (at) => mib(at.rssKb * 1024)));
  console.log(`opened ${opened}, terminated ${terminated}`);
  for (const [name, holds] of Object.entries(checks)) console.log(`${holds ? 'ok  ' : 'FAIL'} ${name}`);
  return ok;
}
