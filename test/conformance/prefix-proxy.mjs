/**
 * A loopback proxy for suites that know a tool only by its own name, in front of an endpoint that puts the gateway's slug
 * before it: adds the prefix to calls, takes it off lists, leaves out what does not have it. Everything else is passed on
 * as it comes, event by event; of Host and Origin only its own are made those of the target, so that foreign ones (DNS
 * rebinding) reach the server.
 */
import { once } from 'node:events';
import { createServer, request } from 'node:http';

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/**
 * @param {string} target URL of an MCP endpoint over plain HTTP
 * @param {string} prefix
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export async function startPrefixProxy(target, prefix) {
  const proxy = new PrefixProxy(new URL(target), prefix);
  const server = createServer((req, res) => {
    proxy.pass(req, res).catch(() => res.destroy());
  });
  server.requestTimeout = 0;
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}${proxy.target.pathname}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

class PrefixProxy {
  /** @param {URL} target @param {string} prefix */
  constructor(target, prefix) {
    this.target = target;
    this.prefix = prefix;
  }

  /** @param {IncomingMessage} req @param {ServerResponse} res */
  async pass(req, res) {
    const body = req.method === 'POST' ? rewrite(await textOf(req), (message) => this.outbound(message)) : '';
    const headers = this.headers(req);
    if (body !== '') headers['content-length'] = Buffer.byteLength(body);
    const up = request(this.target, { method: req.method, headers, setHost: false }, (answer) =>
      this.answer(answer, res),
    );
    up.on('error', (error) => {
      if (!res.headersSent) res.writeHead(502);
      res.end(String(error));
    });
    res.on('close', () => up.destroy());
    up.end(body);
  }

  /** @param {IncomingMessage} req @returns {import('node:http').OutgoingHttpHeaders} */
  headers(req) {
    const own = `127.0.0.1:${req.socket.localPort}`;
    const headers = { ...req.headers };
    delete headers.connection;
    delete headers['transfer-encoding'];
    if (headers.host === own) headers.host = this.target.host;
    if (headers.origin === `http://${own}`) headers.origin = this.target.origin;
    return headers;
  }

  /** @param {IncomingMessage} answer @param {ServerResponse} res */
  answer(answer, res) {
    const type = answer.headers['content-type'] ?? '';
    const headers = { ...answer.headers };
    delete headers['content-length'];
    answer.on('error', () => res.destroy());
    if (/^text\/event-stream/.test(type)) {
      res.writeHead(answer.statusCode ?? 502, headers).flushHeaders();
      this.events(answer, res);
    } else if (/^application\/json/.test(type)) {
      res.writeHead(answer.statusCode ?? 502, headers);
      textOf(answer).then(
        (text) => res.end(rewrite(text, (message) => this.inbound(message))),
        () => res.destroy(),
      );
    } else {
      res.writeHead(answer.statusCode ?? 502, answer.headers).flushHeaders();
      answer.pipe(res);
    }
  }

  /** Line by line, for a message stands in one. @param {IncomingMessage} answer @param {ServerResponse} res */
  events(answer, res) {
    let rest = '';
    answer.setEncoding('utf8');
    answer.on('data', (/** @type {string} */ chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) res.write(`${this.line(line)}\n`);
    });
    answer.on('end', () => res.end(rest));
  }

  /** @param {string} line */
  line(line) {
    const [, data] = /^data: ?(.*?)\r?$/.exec(line) ?? [];
    return data === undefined ? line : `data: ${rewrite(data, (message) => this.inbound(message))}`;
  }

  /** @param {any} message */
  outbound({ method, params }) {
    if (['tools/call', 'prompts/get'].includes(method)) params.name = this.prefix + params.name;
    if (method === 'completion/complete' && params.ref?.name) params.ref.name = this.prefix + params.ref.name;
  }

  /** @param {any} message */
  inbound({ result }) {
    for (const kind of ['tools', 'prompts']) {
      if (!Array.isArray(result?.[kind])) continue;
      const ours = result[kind].filter((/** @type {any} */ entry) => entry.name.startsWith(this.prefix));
      for (const entry of ours) entry.name = entry.name.slice(this.prefix.length);
      result[kind] = ours;
    }
  }
}

/**
 * What is no JSON object stays as it is.
 *
 * @param {string} text
 * @param {(message: any) => void} change
 */
function rewrite(text, change) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return text;
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return text;
  change(message);
  return JSON.stringify(message);
}

/** @param {IncomingMessage} message */
async function textOf(message) {
  const chunks = [];
  for await (const chunk of message) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
