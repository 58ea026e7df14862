import { connect } from 'node:net';

/** One HTTP request as it is written to the socket. */
export interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  /** The bytes of the head are broken, too. */
  readonly rawHead?: Buffer;
}

export interface FuzzAnswer {
  /** 0: the connection ended without an answer. */
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

type Random = () => number;

/** What is known to work, for mutations to begin with; it may be replaced, since requests end sessions, too. */
export interface Known {
  gatewayId: string;
  sessionIds: readonly string[];
  sseSessionIds: readonly string[];
}

const METHODS = ['POST', 'POST', 'POST', 'POST', 'GET', 'DELETE', 'PUT', 'PATCH', 'OPTIONS', 'HEAD', 'BREW', 'TRACE'];
const RPC_METHODS = [
  ...['initialize', 'ping', 'tools/list', 'tools/call', 'resources/list', 'resources/templates/list', 'resources/read'],
  ...['resources/subscribe', 'resources/unsubscribe', 'prompts/list', 'prompts/get', 'completion/complete'],
  ...['logging/setLevel', 'notifications/cancelled', 'notifications/progress', 'notifications/initialized', '', '🤖'],
  ...['notifications/roots/list_changed', '__proto__', 'constructor', 'tools/call\u0000', 'x'.repeat(5_000)],
];
const TEXTS = [
  ...[
    '',
    'demo-echo',
    'demo-add',
    'demo-counter',
    'demo-nothing',
    'file:///a',
    'gw:demo:x',
    '../..',
    '\u0000',
    '\ud800',
  ],
  ...[
    '%',
    '{x}',
    "' OR 1=1 --",
    '__proto__',
    'a'.repeat(10_000),
    'é🤖\u2028',
    '-1',
    'null',
    '1e999',
    '\n\r\t',
    'test://static/{id}',
  ],
];
/** Of things that are there. */
const NAMES = [
  'demo-echo',
  'demo-counter',
  'echo',
  'demo-slow',
  'demo-fail',
  'demo-ask',
  'demo-notify_log',
  'test://static/one',
  'test://item/3',
];
const HEADERS: readonly (readonly [string, readonly string[]])[] = [
  ['accept', ['*/*', 'text/event-stream', 'application/json', 'text/html;q=0.1', '', ',,,;', 'x'.repeat(3_000)]],
  [
    'content-type',
    ['text/plain', 'application/json;charset=utf-16', 'application/json', 'multipart/form-data', '', ';'],
  ],
  ['content-encoding', ['gzip', 'br', 'identity', 'nonsense']],
  ['mcp-session-id', ['', 'x', '..', '\u00e9', 'a'.repeat(2_000), '__proto__', '%00', '*']],
  ['mcp-protocol-version', ['2025-11-25', '2025-03-26', '2024-11-05', '1999-01-01', '', 'é', 'x'.repeat(500)]],
  ['last-event-id', ['0.0', '0.1', '1.0', 'zz.9999999', '0.-1', '', 'x'.repeat(2_000), '0.999999999999999']],
  ['origin', ['null', 'http://evil.example.com', 'http://', 'file://', '::', 'http://127.0.0.1']],
  ['authorization', ['Bearer x', 'Basic eDp5', '', 'Bearer', 'Digest', `Bearer ${'a.'.repeat(500)}`]],
  ['x-request-id', ['ok', 'a b', '', '{}', 'x'.repeat(1_000)]],
  ['traceparent', ['00-x', '', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01']],
  ['x-user-id', ['u', '', '__proto__']],
  ['transfer-encoding', ['chunked', 'gzip', 'identity, chunked']],
  ['content-length', ['0', '5', '-1', '99999999999', 'x', '1e3']],
  ['expect', ['100-continue', 'tea']],
  ['connection', ['close', 'upgrade', 'keep-alive, x']],
  ['upgrade', ['websocket', 'h2c']],
  ['host', ['evil.example.com', '', '[::1]', 'localhost:0', '127.0.0.1\u00a0']],
];
const ODD_PATHS = [
  ...[
    '/mcp/',
    '/MCP',
    '//mcp',
    '/mcp?x=%00',
    '/mcp/../rpc',
    '/gateways',
    '/tools',
    '/resources',
    '/prompts',
    '/metrics',
  ],
  ...[
    '/health',
    '/ready',
    '/docs',
    '/openapi.json',
    '/gateways/%00',
    '/gateways/%zz',
    '/gateways/%c3%28/mcp',
    '/%',
    '/*',
  ],
  ...[
    '/gateways?limit=-1',
    '/gateways?limit=x&cursor=%00',
    '/tools?cursor=AAAA',
    '/tools?limit=99999999999',
    '*',
    '/\\',
  ],
  ...[
    '/tools/x',
    '/tools/%00',
    '/gateways/00000000-0000-0000-0000-000000000000',
    '/prompts?gatewayId=%00',
    `/${'x'.repeat(9_000)}`,
  ],
  ...[
    '/messages/',
    '/resource-templates?q=%ff',
    '/tools?__proto__[x]=1',
    '/gateways?tag[]=1&tag=2',
    'http://127.0.0.1/mcp',
  ],
];

/** Requests made of good ones by mutations that a seed decides. */
export class Fuzzer {
  constructor(
    private readonly random: Random,
    private readonly known: Known,
  ) {}

  next(): FuzzRequest {
    const path = this.path();
    const method = this.chance(0.75) ? (/sse/.test(path) ? 'GET' : 'POST') : this.pick(METHODS);
    const headers = this.headers(path);
    let body: Buffer = /GET|HEAD/.test(method) && this.chance(0.9) ? Buffer.alloc(0) : Buffer.from(this.bodyFor(path));
    if (this.chance(0.12)) body = this.broken(body);
    const request = { method, path, headers, body };
    return this.chance(0.04) ? { ...request, rawHead: this.broken(headOf(request)) } : request;
  }

  private path(): string {
    const { gatewayId, sseSessionIds } = this.known;
    const id = this.chance(0.8) ? gatewayId : encodeURIComponent(this.text().replace(/[\ud800-\udfff]/g, ''));
    const path = this.pick([
      ...['/mcp', '/mcp', '/mcp', '/rpc', '/rpc', 'alone', 'alone', 'sse', 'messages', 'messages', 'gateway', 'odd'],
    ]);
    switch (path) {
      case 'alone':
        return `/gateways/${id}/mcp`;
      case 'sse':
        return this.chance(0.5) ? '/sse' : `/gateways/${id}/sse`;
      case 'messages':
        return `/messages?sessionId=${this.chance(0.9) ? this.pick(sseSessionIds) : encodeURIComponent('\u0000x')}`;
      case 'gateway':
        return `/gateways/${id}${this.pick(['', '/refresh', '/state', '/nothing'])}`;
      case 'odd':
        return this.pick(ODD_PATHS);
      default:
        return path;
    }
  }

  private headers(path: string): (readonly [string, string])[] {
    const headers = new Map<string, string>([
      ['host', '127.0.0.1'],
      ['content-type', 'application/json'],
      ['accept', 'application/json, text/event-stream'],
    ]);
    if (/mcp/.test(path) && this.chance(0.85)) headers.set('mcp-session-id', this.pick(this.known.sessionIds));
    const mutations = this.chance(0.65) ? 0 : 1 + Math.floor(this.random() * 3);
    for (let n = 0; n < mutations; n += 1) {
      const [name, values] = this.pick(HEADERS);
      if (this.chance(0.2)) headers.delete(name);
      else headers.set(name, this.pick(values));
    }
    const list = [...headers];
    return this.chance(0.03) ? [...list, this.pick(list)] : list; // one of them twice
  }

  private bodyFor(path: string): string {
    if (/^\/(gateways|tools|prompts|resources)/.test(path) && !/mcp|sse/.test(path))
      return this.json(this.chance(0.3) ? this.value(2) : this.params());
    if (this.chance(0.08)) return this.json(this.value(3));
    if (this.chance(0.08)) return this.json([this.message(), this.message(), this.value(1)]);
    return this.json(this.message());
  }

  private message(): unknown {
    const message: Record<string, unknown> = { jsonrpc: '2.0', id: this.id(), method: this.pick(RPC_METHODS) };
    if (this.chance(0.85)) message['params'] = this.params();
    if (this.chance(0.12)) message[this.pick(['jsonrpc', 'id', 'method', 'params', 'result', 'error'])] = this.value(2);
    if (this.chance(0.07)) delete message[this.pick(['jsonrpc', 'id', 'method', 'params'])];
    return message;
  }

  private params(): unknown {
    if (this.chance(0.1)) return this.value(2);
    const params: Record<string, unknown> = {};
    const choices: Record<string, () => unknown> = {
      name: () => this.text(),
      arguments: () => (this.chance(0.5) ? { text: this.text(), a: this.value(1) } : this.value(3)),
      uri: () => this.text(),
      cursor: () => this.text(),
      protocolVersion: () => this.pick(['2025-11-25', '2025-03-26', this.value(1)]),
      capabilities: () => this.value(2),
      clientInfo: () => this.value(2),
      _meta: () => (this.chance(0.6) ? { progressToken: this.value(1) } : this.value(2)),
      requestId: () => this.id(),
      progressToken: () => this.id(),
      level: () => this.pick(['debug', 'nonsense', this.value(1)]),
      ref: () => ({ type: this.pick(['ref/prompt', 'ref/resource', '']), name: this.text(), uri: this.text() }),
      argument: () => ({ name: this.text(), value: this.text() }),
    };
    for (const [name, make] of Object.entries(choices)) if (this.chance(0.45)) params[name] = make();
    return params;
  }

  private id(): unknown {
    if (this.chance(0.7)) return Math.floor(this.random() * 1e6);
    return this.pick(['abc', 0, -5, '', 1.5, null, {}, [], true, 'x'.repeat(3_000), 2 ** 60]);
  }

  private value(depth: number): unknown {
    const kind = Math.floor(this.random() * (depth > 0 ? 9 : 6));
    const scalars = [null, true, this.text(), this.random() * 1e9, -0, 1e308];
    if (kind < 6) return scalars[kind];
    if (kind === 6) return Array.from({ length: Math.floor(this.random() * 5) }, () => this.value(depth - 1));
    const names = [
      'name',
      'url',
      'transport',
      'id',
      '__proto__',
      'enabled',
      '',
      'auth',
      'tags',
      this.text().slice(0, 40),
    ];
    return Object.fromEntries(
      Array.from({ length: Math.floor(this.random() * 5) }, () => [this.pick(names), this.value(depth - 1)]),
    );
  }

  private text(): string {
    return this.chance(0.3) ? this.pick(NAMES) : this.pick(TEXTS);
  }

  /** JSON, sometimes spelled as `JSON.stringify` never would. */
  private json(value: unknown): string {
    const text = JSON.stringify(value) ?? '';
    if (this.chance(0.03)) return `${'['.repeat(2_000)}${text}`;
    if (this.chance(0.03)) return text.replace(/^\{/, '{"id":1,"id":2,');
    if (this.chance(0.03)) return `\ufeff${text}`;
    if (this.chance(0.03)) return text.replaceAll(',', ' ,\r\n\t');
    if (this.chance(0.02)) return text.replaceAll(/\d+/g, '12345678901234567890123456789012345678901234567890');
    return text;
  }

  /** Some bytes changed, removed or put in. */
  private broken(bytes: Buffer): Buffer {
    const copy = [...bytes];
    const times = 1 + Math.floor(this.random() * 8);
    for (let n = 0; n < times; n += 1) {
      const at = Math.floor(this.random() * (copy.length + 1));
      const byte = Math.floor(this.random() * 256);
      if (this.chance(0.4)) copy[at] = byte;
      else if (this.chance(0.5)) copy.splice(at, 1 + Math.floor(this.random() * 4));
      else copy.splice(at, 0, byte, this.pick([0x22, 0x7b, 0x5b, 0x00, 0x0a]));
    }
    return Buffer.from(copy);
  }

  private chance(part: number): boolean {
    return this.random() < part;
  }

  private pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)] as T;
  }
}

function headOf({ method, path, headers, body }: FuzzRequest): Buffer {
  const names = new Set(headers.map(([name]) => name));
  const length =
    names.has('content-length') || names.has('transfer-encoding') ? [] : [`content-length: ${body.length}`];
  const lines = [`${method} ${path} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`), ...length];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** Writes it, and reads until the answer is complete, the connection ends, or `patienceMs` have passed (a stream). */
export function fire(port: number, request: FuzzRequest, patienceMs: number): Promise<FuzzAnswer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1' });
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answerOf(Buffer.concat(chunks)));
    };
    const timer = setTimeout(done, patienceMs);
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (isComplete(Buffer.concat(chunks))) done();
    });
    socket.on('error', () => undefined).on('close', done);
    socket.write(Buffer.concat([request.rawHead ?? headOf(request), request.body]));
  });
}

function answerOf(bytes: Buffer): FuzzAnswer {
  const text = bytes.toString('latin1').replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
  const end = text.indexOf('\r\n\r\n');
  const head = end < 0 ? text : text.slice(0, end);
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), head, body: end < 0 ? '' : text.slice(end + 4) };
}

function isComplete(bytes: Buffer): boolean {
  const { status, head, body } = answerOf(bytes);
  if (status === 0 || !/\r\n\r\n/.test(bytes.toString('latin1'))) return false;
  const length = /^content-length: (\d+)$/im.exec(head)?.[1];
  if (length !== undefined) return body.length >= Number(length);
  if (/^content-type: text\/event-stream/im.test(head)) return true;
  return /^transfer-encoding: chunked/im.test(head) ? body.endsWith('0\r\n\r\n') : false;
}
