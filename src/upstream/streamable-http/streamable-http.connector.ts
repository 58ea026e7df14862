import { settledWithin } from '../../common/deadline.js';
import { type ConnectorOptions } from '../connector-options.js';
import { Dispatchers } from '../dispatchers.js';
import { initialize } from '../handshake.js';
import { type ConnectOptions, type Connector, type Target, type UpstreamSession } from '../upstream.port.js';
import { StreamableHttpSession } from './streamable-http.session.js';

/** How long the first call of a session waits for its standing stream (SPEC P-4); the stream itself goes on opening. */
const STREAM_HEADERS_MS = 250;

/** Opens sessions over streamable HTTP. Owns the sockets: `close()` ends them all. */
export class StreamableHttpConnector implements Connector {
  private readonly dispatchers: Dispatchers;

  constructor(private readonly options: ConnectorOptions) {
    this.dispatchers = new Dispatchers(options);
  }

  /** Connects, initializes, and opens the standing stream if asked to. A session half made is closed. */
  async connect(target: Target, options: ConnectOptions = {}): Promise<UpstreamSession> {
    const session = new StreamableHttpSession(target, this.dispatchers, this.options, options);
    try {
      await initialize(session, target.gatewayName, this.options, options, (server) => (session.server = server));
    } catch (error) {
      await session.close('terminate');
      throw error;
    }
    if (options.listen) await settledWithin(session.listen(), STREAM_HEADERS_MS);
    return session;
  }

  close(): Promise<void> {
    return this.dispatchers.close();
  }
}
