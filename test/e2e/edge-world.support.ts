import { type McpServerOptions, type McpTestServer, startMcpServer } from '../support/mcp-server.js';
import { type Replica, startReplica } from '../support/replica.js';
import { initializeAt, MCP_HEADERS, register, request } from '../support/rpc.js';
import { ask, type RawAnswer } from '../support/raw-http.js';
import { createDatabase, type TestDatabase } from '../support/services.js';

type Headers = Record<string, string>;

/** One replica in front of one real server, registered as `Demo`. */
export interface EdgeWorld {
  readonly database: TestDatabase;
  readonly server: McpTestServer;
  readonly replica: Replica;
  /** Id of the gateway. */
  readonly gatewayId: string;
  close(): Promise<void>;
}

/** @param env settings by their names */
export async function startEdge(
  env: Readonly<Headers> = {},
  options: McpServerOptions = {},
  admin: Headers = {},
): Promise<EdgeWorld> {
  const database = await createDatabase();
  const server = await startMcpServer(options);
  const replica = await startReplica({ DATABASE_URL: database.url, ...env });
  const { id } = await register(replica.url, { name: 'Demo', url: server.mcpUrl }, admin);
  return {
    database,
    server,
    replica,
    gatewayId: id,
    close: async () => {
      await replica.close();
      await server.close();
      await database.drop();
    },
  };
}

/** A session at one endpoint of streamable HTTP. */
export class HttpClient {
  private constructor(
    readonly endpoint: string,
    /** What each of its requests carries. */
    readonly headers: Headers,
  ) {}

  static async open(
    endpoint: string,
    options: { version?: string; capabilities?: object; headers?: Headers } = {},
  ): Promise<HttpClient> {
    const { version, capabilities, headers } = options;
    return new HttpClient(endpoint, await initializeAt(endpoint, headers, version, capabilities));
  }

  post(body: unknown, headers: Headers = {}): Promise<RawAnswer> {
    return ask('POST', this.endpoint, { ...MCP_HEADERS, ...this.headers, ...headers }, body);
  }

  /** @param token progress token */
  call(tool: string, args: object = {}, token?: string | number, id?: unknown): Promise<RawAnswer> {
    const message = request('tools/call', {
      name: tool,
      arguments: args,
      ...(token === undefined ? {} : { _meta: { progressToken: token } }),
    });
    return this.post(id === undefined ? message : { ...message, id });
  }

  /** The standing stream; with an id, what followed that event. */
  listen(lastEventId?: string, headers: Headers = {}): Promise<RawAnswer> {
    const resume: Headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    return ask('GET', this.endpoint, { accept: 'text/event-stream', ...this.headers, ...resume, ...headers });
  }

  delete(headers: Headers = {}): Promise<RawAnswer> {
    return ask('DELETE', this.endpoint, { ...this.headers, ...headers });
  }
}
