// A large catalogue (SPEC G-8): how long the start takes, the first page of tools/list, and a lookup; and that a warm call makes
// no query to PostgreSQL, counted on the way to it.
//   node bench/catalogue.mjs [--gateways 100] [--tools 100] [--calls 2000] [--json]
// Needs dist/ (npm run build). Exit code 1 if an answer was wrong or a warm call made a query.
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { Agent, request } from 'undici';
import { freshDatabase } from './database.mjs';
import { HERE, LISTENS, MAIN, Processes, READY } from './processes.mjs';
import { countQueries } from './query-counter.mjs';
import { flags, pct, r1, sleep } from './util.mjs';

/** Registering reads a whole server: so many at once. */
const PARALLEL = 8;
/** Nobody has asked the database for so long: what the start has brought about is over. */
const QUIET_MS = 1_000;
const QUIET_DEADLINE_MS = 60_000;

const o = flags({ gateways: 100, tools: 100, calls: 2_000, json: false });
const processes = new Processes();
const agent = new Agent({ connections: 16 });
let ids = 0;

process.exitCode = (await main()) ? 0 : 1;

async function main() {
  const database = await freshDatabase();
  const counter = await countQueries(database.url);
  try {
    return report(await measure(counter));
  } finally {
    await agent.destroy();
    await processes.endAll();
    counter.close();
    await database.drop();
  }
}

async function measure(counter) {
  // Three of a fixture's tools are there anyway.
  const fixtureArgs = [path.join(HERE, 'fixture.mjs'), '--port', '0', '--tools', String(Math.max(0, o.tools - 3))];
  const fixture = await processes.start(fixtureArgs, {}, READY);
  const env = {
    ...{ PORT: '0', LOG_LEVEL: 'info', SHUTDOWN_DELAY_SECONDS: '0', HEALTH_CHECK_INTERVAL: '3600' },
    GATEWAY_REFRESH_INTERVAL_SECONDS: '3600',
    ...{ DATABASE_URL: counter.url, ENCRYPTION_KEY: randomBytes(32).toString('base64') },
  };
  const first = await processes.start([MAIN], env, LISTENS);
  const registerMs = await timed(() => registerAll(first.url, fixture.url));
  await first.end();

  const spawned = performance.now();
  const gateway = await processes.start([MAIN], env, LISTENS);
  const ready = await request(`${gateway.url}/ready`, { dispatcher: agent });
  await ready.body.dump();
  if (ready.statusCode !== 200) throw new Error(`not ready: HTTP ${ready.statusCode}`);
  const startMs = performance.now() - spawned;
  const firstPageMs = await timed(() => page(gateway.url));
  const { pages, tools } = await allPages(gateway.url);
  await quiet(counter);

  const names = Array.from({ length: Math.min(o.calls, o.gateways) }, (_, i) => `${nameOf(i)}-echo`);
  const before = counter.count;
  const cold = await calls(gateway.url, names, names.length);
  const coldQueries = counter.count - before;
  await quiet(counter);
  const warmBefore = counter.count;
  const warm = await calls(gateway.url, names, o.calls);
  const warmQueries = counter.count - warmBefore;
  return { registerMs, startMs, firstPageMs, pages, tools, cold, coldQueries, warm, warmQueries };
}

function nameOf(i) {
  return `g${String(i).padStart(3, '0')}`;
}

async function registerAll(url, fixture) {
  let next = 0;
  const worker = async () => {
    while (next < o.gateways) {
      const name = nameOf(next++);
      await post(url, '/gateways', { name, url: `${fixture}/mcp`, sessionPolicy: 'shared' }, 201);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

/** One after the other, over all names in turn: the time of each is a call's, not that of a queue. */
async function calls(url, names, count) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const text = `call ${i}`;
    const body = rpc('tools/call', { name: names[i % names.length], arguments: { text } });
    const started = performance.now();
    const { result } = await post(url, '/rpc', body);
    times.push(performance.now() - started);
    if (result?.content?.[0]?.text !== text) throw new Error(`wrong answer to ${text}: ${JSON.stringify(result)}`);
  }
  times.sort((a, b) => a - b);
  return { count, p50Ms: pct(times, 50), p99Ms: pct(times, 99) };
}

async function page(url, cursor) {
  const { result } = await post(url, '/rpc', rpc('tools/list', cursor === undefined ? {} : { cursor }));
  if (!(result?.tools?.length > 0)) throw new Error('an empty page of tools/list');
  return result;
}

async function allPages(url) {
  const times = [];
  let tools = 0;
  let cursor;
  do {
    const started = performance.now();
    const result = await page(url, cursor);
    times.push(performance.now() - started);
    tools += result.tools.length;
    cursor = result.nextCursor;
  } while (cursor !== undefined);
  times.sort((a, b) => a - b);
  return { tools, pages: { count: times.length, p50Ms: pct(times, 50), p99Ms: pct(times, 99) } };
}

async function quiet(counter) {
  const deadline = performance.now() + QUIET_DEADLINE_MS;
  while (counter.quietMs < QUIET_MS) {
    if (performance.now() > deadline) throw new Error('the database is asked all the time');
    await sleep(50);
  }
}

async function timed(work) {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function rpc(method, params) {
  return { jsonrpc: '2.0', id: (ids += 1), method, params };
}

async function post(url, at, body, wanted = 200) {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const answer = await request(url + at, {
    ...{ method: 'POST', headers, body: JSON.stringify(body), dispatcher: agent },
  });
  const text = await answer.body.text();
  if (answer.statusCode !== wanted) throw new Error(`${at}: HTTP ${answer.statusCode} ${text.slice(0, 300)}`);
  return JSON.parse(text);
}

function report(result) {
  const { registerMs, startMs, firstPageMs, pages, tools, cold, coldQueries, warm, warmQueries } = result;
  const ok = warmQueries === 0 && tools === o.gateways * Math.max(3, o.tools);
  if (o.json) {
    console.log(JSON.stringify({ gateways: o.gateways, ...result, ok }));
    return ok;
  }
  const row = (what, value) => console.log(`${what.padEnd(44)}${value}`);
  row('gateways × tools', `${o.gateways} × ${tools / o.gateways}`);
  row('registering them all', `${r1(registerMs / 1000)} s`);
  row('start of the process to ready', `${r1(startMs, 0)} ms`);
  row('first page of tools/list', `${r1(firstPageMs)} ms`);
  row(`all ${pages.count} pages, each`, `p50 ${r1(pages.p50Ms)} ms, p99 ${r1(pages.p99Ms)} ms`);
  row(`${cold.count} calls, cold`, `p50 ${r1(cold.p50Ms, 2)} ms, p99 ${r1(cold.p99Ms, 2)} ms, ${coldQueries} queries`);
  row(`${warm.count} calls, warm`, `p50 ${r1(warm.p50Ms, 2)} ms, p99 ${r1(warm.p99Ms, 2)} ms, ${warmQueries} queries`);
  console.log(ok ? 'ok   a warm call makes no query' : 'FAIL a warm call makes no query, every tool is listed');
  return ok;
}
