// Passes a large result and a large argument through a real gateway process and looks at its memory.
//   node bench/payload.mjs [--result 50] [--argument 10] [--factor 4] [--json]      (MB)
// Needs dist/ (npm run build). With DATABASE_URL and ENCRYPTION_KEY it uses that database, else an embedded one.
// Exit code 1 if a byte was changed, a limit was not kept, or (with --factor) memory grew by more than that many sizes.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { once } from 'node:events';
import { HERE, LISTENS, MAIN, Processes } from './processes.mjs';
import { flags, sleep } from './util.mjs';

const MB = 1_000_000;
/** What must come through as it was written (D-7): a parser would make other numbers of them. */
const NUMBERS = '"big":12345678901234567890,"one":1.0,"exp":1E400,"small":0.10';

const o = flags({ result: 50, argument: 10, factor: 4, json: false });
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'payload-'));
const filled = (size) => `{${NUMBERS},"fill":"${'xé'.repeat(Math.ceil((size * MB) / 3))}"}`;
const result = Buffer.from(`{"content":[],"structuredContent":${filled(o.result)}}`);
const seen = { argument: '' };
const processes = new Processes();

try {
  process.exitCode = (await main()) ? 0 : 1;
} finally {
  await processes.endAll();
  fs.rmSync(dir, { recursive: true, force: true });
}

async function main() {
  const upstream = await startUpstream();
  const limit = String(Math.ceil((Math.max(o.result, o.argument) + 1) * MB));
  const gateway = await start({ MAX_BODY_BYTES: limit, MAX_UPSTREAM_RESPONSE_BYTES: limit });
  for (const mode of ['json', 'sse', 'legacy']) await register(gateway.url, upstream.url, mode);

  const rows = [
    await measured('result, JSON answer', o.result, gateway, () => bigResult(gateway.url, 'json-big')),
    await measured('result, event stream upstream', o.result, gateway, () => bigResult(gateway.url, 'sse-big')),
    await measured('result, event stream on both sides', o.result, gateway, () =>
      bigResult(gateway.url, 'sse-big', true),
    ),
    await measured('result, HTTP+SSE upstream', o.result, gateway, () => bigResult(gateway.url, 'legacy-big')),
    await measured('argument', o.argument, gateway, () => bigArgument(gateway.url, 'json-take')),
  ];

  const small = await start({
    MAX_BODY_BYTES: String(Math.ceil((o.argument * MB) / 2)),
    MAX_UPSTREAM_RESPONSE_BYTES: String(Math.ceil((o.result * MB) / 2)),
  });
  for (const mode of ['json', 'sse', 'legacy']) await register(small.url, upstream.url, mode, `low-${mode}`);
  const refusals = [];
  for (const mode of ['json', 'sse', 'legacy']) {
    const { json } = await rpc(small.url, `low-${mode}-big`, '{}');
    refusals.push([`${mode} result over the limit`, json.error?.data?.code, 'RESULT_TOO_LARGE']);
    const after = await rpc(small.url, `low-${mode}-small`, '{}');
    refusals.push([`${mode} call after it`, after.json.result ? 'ok' : JSON.stringify(after.json.error), 'ok']);
  }
  const refused = await rpc(small.url, 'low-json-take', filled(o.argument));
  refusals.push([
    'argument over the limit',
    `${refused.status} ${refused.json.error?.data?.code}`,
    '413 PAYLOAD_TOO_LARGE',
  ]);
  upstream.server.closeAllConnections();
  upstream.server.close();
  return report(rows, refusals);
}

/** Growth of resident memory at its highest, over what it was before. */
async function measured(what, size, { child }, work) {
  for (let pass = 0; pass < 2; pass += 1) {
    child.kill('SIGUSR2'); // collects garbage
    await sleep(300);
  }
  fs.writeFileSync(`/proc/${child.pid}/clear_refs`, '5'); // the high-water mark begins anew
  const before = highWater(child.pid);
  const started = performance.now();
  const same = await work();
  const ms = Math.round(performance.now() - started);
  const growth = highWater(child.pid) - before;
  return { what, size, ms, before: before / MB, growth: growth / MB, factor: growth / MB / size, same };
}

function highWater(pid) {
  return Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

async function bigResult(url, tool, streamed = false) {
  const body = await (streamed ? streamedCall(url, tool) : rpc(url, tool, '{}').then(({ raw }) => raw));
  const prefix = Buffer.from('{"jsonrpc":"2.0","id":1,"result":');
  if (!body.subarray(0, prefix.length).equals(prefix)) throw new Error(`no result: ${body.toString('utf8', 0, 300)}`);
  return hash(body.subarray(prefix.length, body.length - 1)) === hash(result);
}

/** A batch is always answered with an event stream. */
async function streamedCall(url, tool) {
  const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'payload', version: '1' } };
  const opened = await post(`${url}/mcp`, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
  const { raw } = await post(`${url}/mcp`, `[${callOf(tool, '{}')}]`, {
    'mcp-session-id': opened.headers['mcp-session-id'],
  });
  return raw.subarray(raw.indexOf('data: ') + 6, raw.length - 2);
}

async function bigArgument(url, tool) {
  const argument = filled(o.argument);
  const { json } = await rpc(url, tool, argument);
  if (json.error) throw new Error(JSON.stringify(json.error));
  return seen.argument === hash(argument);
}

function callOf(tool, argument) {
  return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${tool}","arguments":${argument}}}`;
}

function rpc(url, tool, argument) {
  return post(`${url}/rpc`, callOf(tool, argument));
}

async function register(url, upstream, mode, name = mode) {
  const transport = mode === 'legacy' ? 'sse' : 'streamablehttp';
  const { status, raw } = await post(
    `${url}/gateways`,
    JSON.stringify({ name, url: `${upstream}/${mode}`, transport }),
  );
  if (status !== 201) throw new Error(`POST /gateways: HTTP ${status} ${raw}`);
}

async function post(url, body, headers = {}) {
  const req = http.request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
  });
  const answered = once(req, 'response');
  req.on('error', () => undefined); // a refusal may come before the body is written
  req.end(body);
  const [res] = await answered;
  const chunks = [];
  for await (const chunk of res) chunks.push(chunk);
  const raw = Buffer.concat(chunks);
  const json = raw.length < 10_000 ? JSON.parse(raw.toString() || '{}') : {};
  return { status: res.statusCode, headers: res.headers, raw, json };
}

/** Nothing of the environment reaches a child by itself (processes.mjs). */
function databaseOfCaller() {
  const { DATABASE_URL, ENCRYPTION_KEY } = process.env;
  return DATABASE_URL === undefined ? {} : { DATABASE_URL, ENCRYPTION_KEY };
}

function start(env) {
  return processes.start(
    ['--expose-gc', '--import', path.join(HERE, 'gc-on-signal.mjs'), MAIN],
    { PORT: '0', DATA_DIR: path.join(dir, `data-${Math.random()}`), LOG_LEVEL: 'info', ...databaseOfCaller(), ...env },
    LISTENS,
  );
}

/** A server without an SDK: `/json` and `/sse` are streamable HTTP with that kind of answer, `/legacy` is HTTP+SSE. */
async function startUpstream() {
  let stream;
  const server = http.createServer((req, res) => {
    const at = req.url.split('?')[0];
    if (req.method === 'GET' && at === '/legacy') {
      stream = res.writeHead(200, { 'content-type': 'text/event-stream' });
      return void res.write('event: endpoint\ndata: /post\n\n');
    }
    if (req.method !== 'POST') return void res.writeHead(req.method === 'GET' ? 405 : 200).end();
    const chunks = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      if (!text.includes('"id":')) return void res.writeHead(202).end();
      const frame = answerTo(text);
      const event = () => Buffer.concat([Buffer.from('data: '), frame, Buffer.from('\n\n')]);
      if (at === '/json') return void res.writeHead(200, { 'content-type': 'application/json' }).end(frame);
      if (at === '/sse') return void res.writeHead(200, { 'content-type': 'text/event-stream' }).end(event());
      res.writeHead(202).end();
      stream?.write(event());
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

function answerTo(text) {
  const id = /"id":(\d+)/.exec(text)[1];
  const [, method] = /"method":"([^"]+)"/.exec(text);
  const frame = (body) => Buffer.concat([Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":`), body, Buffer.from('}')]);
  if (method === 'initialize') {
    const info = {
      protocolVersion: '2024-11-05',
      capabilities: { tools: {} },
      serverInfo: { name: 'p', version: '1' },
    };
    return frame(Buffer.from(JSON.stringify(info)));
  }
  if (method === 'tools/list') {
    const tools = ['big', 'small', 'take'].map((name) => ({ name, inputSchema: { type: 'object' } }));
    return frame(Buffer.from(JSON.stringify({ tools })));
  }
  if (/"name":"big"/.test(text)) return frame(result);
  if (/"name":"take"/.test(text))
    seen.argument = hash(text.slice(text.indexOf('"arguments":') + 12, text.lastIndexOf('}}')));
  return frame(Buffer.from('{"content":[]}'));
}

function hash(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

function report(rows, refusals) {
  const checks = Object.fromEntries([
    ...rows.map(({ what, same }) => [`${what}: as it was written`, same]),
    ...rows.map(({ what, factor }) => [`${what}: memory grows by at most ${o.factor} sizes`, factor <= o.factor]),
    ...refusals.map(([what, got, wanted]) => [
      `${what}: ${wanted}${got === wanted ? '' : `, not ${got}`}`,
      got === wanted,
    ]),
  ]);
  const ok = Object.values(checks).every(Boolean);
  if (o.json) {
    console.log(JSON.stringify({ rows, checks, ok }));
    return ok;
  }
  for (const { what, size, ms, before, growth, factor } of rows) {
    console.log(
      `${what.padEnd(36)} ${String(size).padStart(3)} MB  ${String(ms).padStart(6)} ms  ` +
        `${before.toFixed(0).padStart(5)} MB before  +${growth.toFixed(0).padStart(4)} MB  = ${factor.toFixed(1)} sizes`,
    );
  }
  for (const [name, holds] of Object.entries(checks)) console.log(`${holds ? 'ok  ' : 'FAIL'} ${name}`);
  return ok;
}
