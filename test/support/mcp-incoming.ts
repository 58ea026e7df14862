import { type IncomingMessage } from 'node:http';
import { countOne } from './mcp-stats.js';
import { type World } from './mcp-world.js';

/** One HTTP request, read before anything is decided: faults depend on the JSON-RPC method. */
export interface Incoming {
  readonly path: string;
  readonly query: URLSearchParams;
  /** The parsed body; undefined without one, and where it is not JSON. */
  readonly message: unknown;
  readonly rpcMethod?: string;
  readonly rpcId?: string | number;
  /** Of `tools/call`. */
  readonly tool?: string;
}

interface Rpc {
  readonly method?: string;
  readonly id?: string | number;
  readonly params?: { readonly name?: string };
}

export async function readIncoming(world: World, req: IncomingMessage): Promise<Incoming> {
  const url = new URL(req.url ?? '/', 'http://test');
  const text = await readBody(req);
  const message = parse(text);
  const rpc = (message ?? {}) as Rpc;
  if (rpc.method !== undefined) world.lastBody[rpc.method] = text;
  const incoming: Incoming = {
    path: url.pathname,
    query: url.searchParams,
    message,
    ...(rpc.method === undefined ? {} : { rpcMethod: rpc.method }),
    ...(rpc.id === undefined ? {} : { rpcId: rpc.id }),
    ...(rpc.method === 'tools/call' && rpc.params?.name !== undefined ? { tool: rpc.params.name } : {}),
  };
  count(world, incoming);
  return incoming;
}

function count(world: World, { rpcMethod, tool }: Incoming): void {
  if (rpcMethod === undefined) return;
  world.board.change((stats) => {
    countOne(stats.requests, rpcMethod);
    if (rpcMethod === 'initialize') stats.initialize += 1;
    if (rpcMethod === 'notifications/initialized') stats.initialized += 1;
    if (tool !== undefined) countOne(stats.calls, tool);
  });
}

async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
