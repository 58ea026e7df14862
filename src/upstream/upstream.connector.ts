import { type ConnectorOptions } from './connector-options.js';
import { SseConnector } from './sse/sse.connector.js';
import { StreamableHttpConnector } from './streamable-http/streamable-http.connector.js';
import { type ConnectOptions, type Connector, type Target, type UpstreamSession } from './upstream.port.js';

/** Opens sessions over the transport that the target names. Owns all sockets to MCP servers. */
export class UpstreamConnector implements Connector {
  private readonly http: StreamableHttpConnector;
  private readonly sse: SseConnector;
  private closing: Promise<void> | undefined;

  constructor(options: ConnectorOptions) {
    this.http = new StreamableHttpConnector(options);
    this.sse = new SseConnector(options);
  }

  async connect(target: Target, options?: ConnectOptions): Promise<UpstreamSession> {
    switch (target.transport) {
      case 'streamablehttp':
        return this.http.connect(target, options);
      case 'sse':
        return this.sse.connect(target, options);
    }
  }

  close(): Promise<void> {
    this.closing ??= Promise.all([this.http.close(), this.sse.close()]).then(() => undefined);
    return this.closing;
  }
}
