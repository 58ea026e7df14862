import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { type McpTestServer } from './mcp-server.js';

export interface OneUrl {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** The server at one URL for both transports, as servers do that still take SSE: a GET without a session opens a stream. */
export async function startOneUrl(server: McpTestServer): Promise<OneUrl> {
  const front = createServer((req, res) => pass(server.port, req, res));
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  return {
    url: `http://127.0.0.1:${(front.address() as AddressInfo).port}/both`,
    close: async () => {
      front.closeAllConnections();
      front.close();
      await once(front, 'close');
    },
  };
}

function pass(port: number, req: IncomingMessage, res: ServerResponse): void {
  const { method, headers, url = '/' } = req;
  const opensSse = method === 'GET' && headers['mcp-session-id'] === undefined;
  const path = url === '/both' ? (opensSse ? '/sse' : '/mcp') : url;
  const onward = request({ port, host: '127.0.0.1', method, headers, path }, (answer) => {
    res.writeHead(answer.statusCode ?? 502, answer.headers);
    res.flushHeaders();
    answer.pipe(res);
    answer.on('error', () => res.destroy());
  });
  onward.on('error', () => res.destroy());
  res.on('close', () => onward.destroy());
  req.pipe(onward);
}
