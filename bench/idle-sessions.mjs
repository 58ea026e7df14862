// What an idle session of a client costs a real gateway process, and whether its expiry frees all of it.
//   node bench/idle-sessions.mjs [--sessions 5000] [--ttl 20] [--most 20] [--json]
// Needs dist/ (npm run build). With DATABASE_URL and ENCRYPTION_KEY it uses that database, else an embedded one.
// Exit code 1 if a session takes more than --most KiB of heap, or not all of it comes back.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Agent, request } from 'undici';
import { HERE, LISTENS, MAIN, Processes } from './processes.mjs';
import { flags, mmm, rssKb, sleep } from './util.mjs';

const KIB = 1024;
/** Noise of the runtime: what may stay, in all. */
const HEAP_FLOOR = 1024 * KIB;

const o = flags({ sessions: 5_000, ttl: 20, most: 20, json: false });
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'idle-'));
const agent = new Agent({ connections: 32, keepAliveTimeout: 1_000, keepAliveMaxTimeout: 1_000 });
const processes = new Processes();

try {
  process.exitCode = (await main()) ? 0 : 1;
} finally {
  await agent.destroy();
  await processes.endAll();
  fs.rmSync(dir, { recursive: true, force: true });
}

async function main() {
  const gateway = await processes.start(
    ['--expose-gc', '--import', path.join(HERE, 'gc-on-signal.mjs'), MAIN],
    { PORT: '0', DATA_DIR: path.join(dir, 'data'), SESSION_TTL_SECONDS: String(o.ttl), LOG_LEVEL: 'info' },
    LISTENS,
  );
  await open(gateway.url, Math.min(o.sessions, 500)); // every code path is warm then
  await gone(gateway);
  const before = await atRest(gateway);
  await open(gateway.url, o.sessions);
  const open_ = await atRest(gateway);
  if (open_.sessions !== o.sessions) throw new Error(`${open_.sessions} are open: take a larger --ttl`);
  await gone(gateway);
  const after = await atRest(gateway);
  return report(before, open_, after);
}

async function open(url, count) {
  let left = count;
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: { roots: { listChanged: true }, sampling: {}, elicitation: {} },
    clientInfo: { name: 'idle-client', title: 'A client that does nothing', version: '1.0.0' },
  };
  const worker = async () => {
    while ((left -= 1) >= 0) {
      const session = await post(url, { jsonrpc: '2.0', id: 1, method: 'initialize', params });
      await post(url, { jsonrpc: '2.0', method: 'notifications/initialized' }, { 'mcp-session-id': session });
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
}

async function post(url, body, headers = {}) {
  const answer = await request(`${url}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify(body),
    dispatcher: agent,
  });
  const text = await answer.body.text();
  if (answer.statusCode > 202) throw new Error(`HTTP ${answer.statusCode} ${text.slice(0, 300)}`);
  return answer.headers['mcp-session-id'];
}

async function gone(gateway) {
  const deadline = performance.now() + o.ttl * 3000 + 10_000;
  while ((await sample(gateway)).sessions > 0) {
    if (performance.now() > deadline) throw new Error('the sessions do not expire');
    await sleep(250);
  }
}

/** Heap in use after garbage was collected, the least of some readings. */
async function atRest(gateway) {
  const readings = [];
  await sleep(1_500); // idle connections end
  for (let round = 0; round < 5; round += 1) {
    gateway.child.kill('SIGUSR2');
    await sleep(200);
    readings.push(await sample(gateway));
  }
  const { sessions, rss } = readings.at(-1);
  const least = (name) => mmm(readings.map((reading) => reading[name])).min;
  return { sessions, rss, heap: least('heap'), external: least('external') };
}

async function sample(gateway) {
  const { body } = await request(`${gateway.url}/metrics`, { dispatcher: agent });
  const text = await body.text();
  const read = (name) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]);
  return {
    sessions: read('mcpgateway_downstream_sessions'),
    heap: read('nodejs_heap_size_used_bytes'),
    external: read('nodejs_external_memory_bytes'),
    rss: rssKb(gateway.child.pid) * KIB,
  };
}

function report(before, open_, after) {
  const each = (name) => (open_[name] - before[name]) / o.sessions / KIB;
  const left = after.heap - before.heap;
  const checks = {
    [`at most ${o.most} KiB of heap for a session`]: each('heap') <= o.most,
    'all of it comes back': left <= Math.max(HEAP_FLOOR, (open_.heap - before.heap) * 0.05),
  };
  const ok = Object.values(checks).every(Boolean);
  const figures = {
    sessions: o.sessions,
    heapKib: each('heap'),
    externalKib: each('external'),
    rssKib: each('rss'),
    left,
  };
  if (o.json) {
    console.log(JSON.stringify({ ...figures, before, open: open_, after, checks, ok }));
    return ok;
  }
  console.log(
    `${o.sessions} idle sessions: ${each('heap').toFixed(2)} KiB of heap each, ${each('external').toFixed(2)} KiB outside ` +
      `of it, ${each('rss').toFixed(2)} KiB resident; left after their expiry: ${(left / KIB).toFixed(0)} KiB in all`,
  );
  for (const [name, holds] of Object.entries(checks)) console.log(`${holds ? 'ok  ' : 'FAIL'} ${name}`);
  return ok;
}
