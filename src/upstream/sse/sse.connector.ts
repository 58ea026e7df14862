import { type ConnectorOptions } from '../connector-options.js';
import { Dispatchers } from '../dispatchers.js';
import { initialize } from '../handshake.js';
import { type ConnectOptions, type Connector, type Target, type UpstreamSession } from '../upstream.port.js';
import { SseSession } from './sse.session.js';

/** Opens sessions over HTTP+SSE (2024-11-05). Owns the sockets: `close()` ends them all. */
export class SseConnector implements Connector {
  private readonly dispatchers: Dispatchers;

  constructor(private readonly options: ConnectorOptions) {
    this.dispatchers = new Dispatchers(options);
  }

  /** Opens the stream and initializes; `listen` is implied. A session half made is closed. */
  async connect(target: Target, options: ConnectOptions = {}): Promise<UpstreamSession> {
    const session = new SseSession(target, this.dispatchers, this.options, options);
    try {
      await session.open(options.signal);
      await initialize(session, target.gatewayName, this.options, options, (server) => session.initialized(server));
    } catch (error) {
      await session.close('terminate');
      throw error;
    }
    return session;
  }

  close(): Promise<void> {
    return this.dispatchers.close();
  }
}
