// Upstream MCP fixture on plain node:http, written for least overhead.
//   node fixture.mjs [--port 21000] [--mode json|sse] [--tools 0] [--no-get] [--keep-alive 65000] [--initialize-ms 0]
// /mcp        streamable HTTP, stateful (Mcp-Session-Id); answers in --mode
// /mcp-json   the same with JSON answers;  /mcp-sse  the same with SSE answers
// /sse + /messages?sessionId=…             legacy HTTP+SSE transport
// /rpc        bare JSON-RPC, no session (reference for a stateless endpoint)
// /control/stats | reset | list-changed | mode?v=sse | drop-sessions | tools?n=5
import http from 'node:http';
import { randomUUID } from 'node:crypto';
import { answering, err } from './fixture-answers.mjs';
import { flags } from './util.mjs';

const o = flags({
  port: 21000,
  mode: 'json',
  tools: 0,
  get: true,
  host: '127.0.0.1',
  keepAlive: 65000,
  initializeMs: 0,
});
const sessions = new Map(); // id -> { id, calls, streams:Set<res>, legacy }
const S = {};
const reset = () =>
  Object.assign(S, {
    opened: 0,
    closed: 0,
    maxActive: 0,
    initialize: 0,
    initialized: 0,
    requests: 0,
    calls: 0,
    lists: 0,
    pings: 0,
    notifications: 0,
    cancelled: 0,
    listChangedSent: 0,
    badSession: 0,
    getStreams: 0,
    deletes: 0,
    connections: 0,
    inflight: 0,
    maxInflight: 0,
    byMethod: {},
    since: Date.now(),
  });
reset();

const { answer, setTools } = answering(S, o);
setTools(o.tools);

function open(legacy) {
  const s = { id: randomUUID(), calls: 0, streams: new Set(), legacy };
  sessions.set(s.id, s);
  S.opened++;
  if (sessions.size > S.maxActive) S.maxActive = sessions.size;
  return s;
}
function close(s) {
  if (!sessions.delete(s.id)) return;
  S.closed++;
  for (const r of s.streams) r.end();
}

const J = 'application/json';
const send = (res, code, body, h) => {
  res.writeHead(code, { 'content-type': J, 'content-length': Buffer.byteLength(body), ...h });
  res.end(body);
};

function post(req, res, body, mode, kind) {
  let m;
  try {
    m = JSON.parse(body);
  } catch {
    return send(res, 400, err(null, -32700, 'Parse error'));
  }
  S.requests++;
  S.byMethod[m.method] = (S.byMethod[m.method] ?? 0) + 1;
  let s, fresh;
  if (kind === 'mcp') {
    if (m.method === 'initialize') {
      s = open(false);
      fresh = true;
    } else {
      const sid = req.headers['mcp-session-id'];
      s = sid && sessions.get(sid);
      if (!s) {
        S.badSession++;
        return send(
          res,
          sid ? 404 : 400,
          err(m.id ?? null, -32600, sid ? 'Session not found' : 'Missing Mcp-Session-Id'),
        );
      }
    }
  } else if (kind === 'legacy') {
    s = sessions.get(new URL(req.url, 'http://x').searchParams.get('sessionId'));
    if (!s) {
      S.badSession++;
      return send(res, 404, err(m.id ?? null, -32600, 'Session not found'));
    }
  }
  if (m.id === undefined || m.method === undefined) {
    // notification, or an answer to us
    S.notifications++;
    if (m.method === 'notifications/initialized') S.initialized++;
    if (m.method === 'notifications/cancelled') S.cancelled++;
    res.writeHead(202);
    return res.end();
  }
  if (++S.inflight > S.maxInflight) S.maxInflight = S.inflight;
  const out = (t) => {
    S.inflight--;
    if (kind === 'legacy') {
      for (const r of s.streams) r.write('event: message\ndata: ' + t + '\n\n');
      return;
    }
    if (mode === 'sse' && kind === 'mcp') {
      res.writeHead(
        200,
        fresh
          ? { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', 'mcp-session-id': s.id }
          : { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' },
      );
      res.end('event: message\ndata: ' + t + '\n\n');
    } else send(res, 200, t, fresh && { 'mcp-session-id': s.id });
  };
  if (kind === 'legacy') {
    res.writeHead(202);
    res.end();
  }
  const t = answer(m, s);
  if (typeof t === 'string') out(t);
  else t.then(out);
}

function control(req, res, u) {
  const q = u.searchParams;
  switch (u.pathname) {
    case '/control/stats':
      break;
    case '/control/reset':
      reset();
      break;
    case '/control/mode':
      o.mode = q.get('v') === 'sse' ? 'sse' : 'json';
      break;
    case '/control/drop-sessions':
      for (const s of [...sessions.values()]) close(s);
      break;
    case '/control/tools':
      setTools(+q.get('n') || 0);
      break;
    case '/control/list-changed':
      for (const s of sessions.values())
        for (const r of s.streams) {
          r.write('event: message\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n');
          S.listChangedSent++;
        }
      break;
    default:
      return send(res, 404, '{}');
  }
  const cpu = process.cpuUsage();
  send(
    res,
    200,
    JSON.stringify({
      ...S,
      active: sessions.size,
      withStream: [...sessions.values()].filter((s) => s.streams.size).length,
      mode: o.mode,
      pid: process.pid,
      cpuMs: (cpu.user + cpu.system) / 1000,
      rss: process.memoryUsage.rss(),
    }),
  );
}

const server = http.createServer((req, res) => {
  const url = req.url;
  const qi = url.indexOf('?');
  const path = qi < 0 ? url : url.slice(0, qi);
  if (path.startsWith('/control/')) return control(req, res, new URL(url, 'http://x'));
  const kind =
    path === '/mcp' || path === '/mcp-json' || path === '/mcp-sse'
      ? 'mcp'
      : path === '/messages'
        ? 'legacy'
        : path === '/rpc'
          ? 'rpc'
          : path === '/sse'
            ? 'sse'
            : null;
  if (!kind) return send(res, 404, '{}');
  if (req.method === 'POST') {
    const mode = path === '/mcp-json' ? 'json' : path === '/mcp-sse' ? 'sse' : o.mode;
    let body = '';
    req.setEncoding('utf8');
    req.on('data', (c) => {
      body += c;
    });
    req.on('end', () => post(req, res, body, mode, kind));
    return;
  }
  if (req.method === 'GET' && (kind === 'mcp' || kind === 'sse')) {
    let s;
    if (kind === 'sse') s = open(true);
    else {
      if (!o.get) return send(res, 405, err(null, -32600, 'No stream'), { allow: 'POST, DELETE' });
      s = sessions.get(req.headers['mcp-session-id']);
      if (!s) {
        S.badSession++;
        return send(res, req.headers['mcp-session-id'] ? 404 : 400, err(null, -32600, 'Session not found'));
      }
    }
    S.getStreams++;
    res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    res.flushHeaders();
    if (kind === 'sse') res.write('event: endpoint\ndata: /messages?sessionId=' + s.id + '\n\n');
    s.streams.add(res);
    res.on('close', () => {
      s.streams.delete(res);
      if (s.legacy) close(s);
    });
    return;
  }
  if (req.method === 'DELETE' && kind === 'mcp') {
    const s = sessions.get(req.headers['mcp-session-id']);
    if (!s) {
      S.badSession++;
      return send(res, 404, err(null, -32600, 'Session not found'));
    }
    S.deletes++;
    close(s);
    res.writeHead(200);
    return res.end();
  }
  send(res, 405, err(null, -32600, 'Method not allowed'), { allow: 'GET, POST, DELETE' });
});
server.on('connection', (c) => {
  S.connections++;
  c.setNoDelay(true);
});
server.keepAliveTimeout = o.keepAlive;
server.requestTimeout = 0;
server.listen(o.port, o.host, 4096, () =>
  console.log(`fixture ready on http://${o.host}:${server.address().port}/mcp mode=${o.mode} pid=${process.pid}`),
);
