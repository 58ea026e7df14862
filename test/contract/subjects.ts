import { SseConnector } from '../../src/upstream/sse/sse.connector.js';
import { StreamableHttpConnector } from '../../src/upstream/streamable-http/streamable-http.connector.js';
import { type Subject } from './bench.js';

export const SSE: Subject = {
  transport: 'sse',
  make: (options) => new SseConnector(options),
  urlOf: (server) => server.sseUrl,
  interim: { via: 'call', origin: false },
  deletes: false,
};

export const STREAMABLE_HTTP: Subject = {
  transport: 'streamablehttp',
  make: (options) => new StreamableHttpConnector(options),
  urlOf: (server) => server.mcpUrl,
  interim: { via: 'call', origin: true },
  deletes: true,
};

/** A server that answers POSTs with JSON can speak only on the standing stream. */
export const STREAMABLE_HTTP_JSON: Subject = {
  ...STREAMABLE_HTTP,
  server: { jsonResponse: true },
  interim: { via: 'stream', origin: false },
};
