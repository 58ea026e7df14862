// The yardstick: the least reverse proxy on node:http with a keep-alive agent. It streams both ways and reads nothing.
//   node node-proxy.mjs --upstream http://127.0.0.1:21000 [--port 0]
import http from 'node:http';
import { flags } from './util.mjs';

const o = flags({ port: 0, upstream: 'http://127.0.0.1:21000', host: '127.0.0.1' });
const upstream = new URL(o.upstream);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1024, maxFreeSockets: 1024 });
/** Of one connection, not of the message. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host']);

const server = http.createServer((req, res) => {
  const headers = [...endToEnd(req.rawHeaders), 'host', upstream.host];
  const { hostname: host, port } = upstream;
  const proxied = http.request({ host, port, method: req.method, path: req.url, headers, agent }, (answer) => {
    res.writeHead(answer.statusCode, endToEnd(answer.rawHeaders));
    answer.pipe(res);
  });
  proxied.on('error', () => {
    if (!res.headersSent) res.writeHead(502);
    res.end();
  });
  res.on('close', () => {
    if (!res.writableFinished) proxied.destroy();
  });
  req.pipe(proxied);
});
server.keepAliveTimeout = 65_000;
server.requestTimeout = 0;
server.listen(o.port, o.host, 4096, () => console.log(`proxy ready on http://${o.host}:${server.address().port}/`));

function endToEnd(raw) {
  const headers = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!HOP_BY_HOP.has(raw[i].toLowerCase())) headers.push(raw[i], raw[i + 1]);
  }
  return headers;
}
