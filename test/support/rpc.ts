/** Plain HTTP for tests that look at the protocol itself, where the SDK's client would hide it. */
export interface RpcAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body, if it is JSON. */
  readonly json: {
    readonly id?: unknown;
    readonly result?: Record<string, unknown>;
    readonly error?: { readonly code: number; readonly message: string; readonly data?: Record<string, unknown> };
  };
}

export const MCP_HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
} as const;

export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<RpcAnswer> {
  return send('POST', url, { ...MCP_HEADERS, ...headers }, typeof body === 'string' ? body : JSON.stringify(body));
}

export async function send(
  method: string,
  url: string,
  headers: Record<string, string> = {},
  body?: string | Buffer,
): Promise<RpcAnswer> {
  const response = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
  const text = await response.text();
  let json: RpcAnswer['json'] = {};
  try {
    json = JSON.parse(text) as RpcAnswer['json'];
  } catch {
    // a body that is not JSON is looked at as text
  }
  return { status: response.status, headers: response.headers, text, json };
}

let ids = 0;

export function request(method: string, params?: unknown): Record<string, unknown> {
  return { jsonrpc: '2.0', id: (ids += 1), method, ...(params === undefined ? {} : { params }) };
}

/** Opens a session at `/mcp` by hand; returns the headers that its requests need. */
export function initialize(
  url: string,
  headers: Record<string, string> = {},
  protocolVersion = '2025-11-25',
): Promise<Record<string, string>> {
  return initializeAt(`${url}/mcp`, headers, protocolVersion);
}

/** The same at any endpoint. */
export async function initializeAt(
  endpoint: string,
  headers: Record<string, string> = {},
  protocolVersion = '2025-11-25',
  capabilities: object = {},
): Promise<Record<string, string>> {
  const params = { protocolVersion, capabilities, clientInfo: { name: 'test', version: '1' } };
  const answer = await post(endpoint, request('initialize', params), headers);
  const id = answer.headers.get('mcp-session-id');
  if (answer.status !== 200 || id === null) throw new Error(`initialize: HTTP ${answer.status} ${answer.text}`);
  return { ...headers, 'mcp-session-id': id, 'mcp-protocol-version': protocolVersion };
}

/** Registers a server over REST; returns its record. */
export async function register(
  url: string,
  gateway: Record<string, unknown>,
  headers: Record<string, string> = {},
): Promise<Record<string, unknown> & { id: string }> {
  const answer = await post(`${url}/gateways`, gateway, headers);
  if (answer.status !== 201) throw new Error(`POST /gateways: HTTP ${answer.status} ${answer.text}`);
  return answer.json as unknown as Record<string, unknown> & { id: string };
}
