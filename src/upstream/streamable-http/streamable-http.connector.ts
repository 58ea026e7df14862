import { settledWithin, withDeadline } from '../../common/deadline.js';
import { type ConnectorOptions } from '../connector-options.js';
import { Dispatchers } from '../dispatchers.js';
import { initializeParams, readInitializeResult } from '../handshake.js';
import { UpstreamError } from '../upstream.errors.js';
import { type ConnectOptions, type Connector, type Target, type UpstreamSession } from '../upstream.port.js';
import { StreamableHttpSession } from './streamable-http.session.js';

/** Sockets to one origin for each use: the pool's caps bind long before. */
const MAX_SOCKETS_PER_ORIGIN = 1_024;

/** How long the first call of a session waits for its standing stream (SPEC P-4); the stream itself goes on opening. */
const STREAM_HEADERS_MS = 250;

/** Opens sessions over streamable HTTP. Owns the sockets: `close()` ends them all. */
export class StreamableHttpConnector implements Connector {
  private readonly dispatchers: Dispatchers;

  constructor(private readonly options: ConnectorOptions) {
    const { connectTimeoutMs } = options;
    this.dispatchers = new Dispatchers({ connectTimeoutMs, maxSocketsPerOrigin: MAX_SOCKETS_PER_ORIGIN });
  }

  /** Connects, initializes, and opens the standing stream if asked to. A session half made is closed. */
  async connect(target: Target, options: ConnectOptions = {}): Promise<UpstreamSession> {
    const session = new StreamableHttpSession(target, this.dispatchers, this.options);
    try {
      await this.initialize(session, target, options);
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

  private async initialize(session: StreamableHttpSession, target: Target, options: ConnectOptions): Promise<void> {
    const { transportTimeoutMs, clientInfo } = this.options;
    const gateway = target.gatewayName;
    const late = (): Error =>
      new UpstreamError('UPSTREAM_TIMEOUT', `${gateway}: no answer to initialize in ${transportTimeoutMs} ms`, {
        reason: 'timeout',
        execution: 'unknown',
        gateway,
      });
    const params = initializeParams(clientInfo, options.clientCapabilities);
    const reply = await withDeadline(transportTimeoutMs, options.signal, late, (signal) =>
      session.request('initialize', params, { signal }),
    );
    session.server = readInitializeResult(reply, gateway);
    await session.notify('notifications/initialized', undefined, options.signal);
  }
}
