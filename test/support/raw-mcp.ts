import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';

export interface RawMessage {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly name?: string; readonly capabilities?: unknown };
}

export interface RawMcp {
  readonly url: string;
  /** How often each method came; `DELETE` too. */
  readonly count: Record<string, number>;
  /** What the client declared in each `initialize`. */
  readonly declared: unknown[];
  close(): Promise<void>;
}

type Answer = (message: RawMessage, res: ServerResponse, req: IncomingMessage) => unknown;

/**
 * An MCP server without an SDK, for misbehaviour that an SDK does not know: `initialize` is answered with a new session,
 * notifications with 202, and every other request as the test says (what it returns is the `result`).
 */
export async function startRawMcp(
  answer: Answer,
  options: {
    deleteStatus?: number;
    initializeDelayMs?: number;
    stateless?: boolean;
    /** Answers a GET, which is the standing stream; else there is none. */
    get?: (res: ServerResponse) => unknown;
  } = {},
): Promise<RawMcp> {
  const count: Record<string, number> = {};
  const declared: unknown[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const message = (req.method === 'POST' ? JSON.parse(Buffer.concat(chunks).toString()) : {}) as RawMessage;
      const name = message.method ?? req.method ?? '';
      count[name] = (count[name] ?? 0) + 1;
      if (name === 'initialize') declared.push(message.params?.capabilities);
      if (req.method === 'DELETE') return void res.writeHead(options.deleteStatus ?? 200).end();
      if (req.method === 'GET' && options.get) return void options.get(res);
      if (req.method !== 'POST') return void res.writeHead(405).end();
      if (message.id === undefined) return void res.writeHead(202).end();
      const reply = (): void => {
        const result =
          name === 'initialize' ? initialized(res, options.stateless ? undefined : serial) : answer(message, res, req);
        if (res.headersSent || result === undefined) return;
        const body = JSON.stringify({ jsonrpc: '2.0', id: message.id, result });
        res.writeHead(200, { 'content-type': 'application/json' }).end(body);
      };
      const serial = count[name];
      if (name === 'initialize' && options.initializeDelayMs) setTimeout(reply, options.initializeDelayMs);
      else reply();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    count,
    declared,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function initialized(res: ServerResponse, serial: number | undefined): unknown {
  if (serial !== undefined) res.setHeader('mcp-session-id', `raw-${serial}`);
  return { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'raw', version: '1' } };
}

/** Answers at HTTP 200 with a JSON-RPC error. */
export function rpcError(res: ServerResponse, message: RawMessage, code: number, text: string): void {
  const body = JSON.stringify({ jsonrpc: '2.0', id: message.id, error: { code, message: text } });
  res.writeHead(200, { 'content-type': 'application/json' }).end(body);
}
