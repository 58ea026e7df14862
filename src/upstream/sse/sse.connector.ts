import { withDeadline } from '../../common/deadline.js';
import { type ConnectorOptions } from '../connector-options.js';
import { Dispatchers } from '../dispatchers.js';
import { initializeParams, readInitializeResult } from '../handshake.js';
import { UpstreamError } from '../upstream.errors.js';
import { type ConnectOptions, type Connector, type Target, type UpstreamSession } from '../upstream.port.js';
import { SseSession } from './sse.session.js';

/** Sockets to one origin for each use: the pool's caps bind long before. */
const MAX_SOCKETS_PER_ORIGIN = 1_024;

/** Opens sessions over HTTP+SSE (2024-11-05). Owns the sockets: `close()` ends them all. */
export class SseConnector implements Connector {
  private readonly dispatchers: Dispatchers;

  constructor(private readonly options: ConnectorOptions) {
    const { connectTimeoutMs } = options;
    this.dispatchers = new Dispatchers({ connectTimeoutMs, maxSocketsPerOrigin: MAX_SOCKETS_PER_ORIGIN });
  }

  /** Opens the stream and initializes; `listen` is implied. A session half made is closed. */
  async connect(target: Target, options: ConnectOptions = {}): Promise<UpstreamSession> {
    const session = new SseSession(target, this.dispatchers, this.options);
    try {
      await session.open(options.signal);
      await this.initialize(session, target.gatewayName, options);
    } catch (error) {
      await session.close('terminate');
      throw error;
    }
    return session;
  }

  close(): Promise<void> {
    return this.dispatchers.close();
  }

  private async initialize(session: SseSession, gateway: string, options: ConnectOptions): Promise<void> {
    const { transportTimeoutMs, clientInfo } = this.options;
    const late = (): UpstreamError =>
      new UpstreamError('UPSTREAM_TIMEOUT', `${gateway}: no answer to initialize in ${transportTimeoutMs} ms`, {
        reason: 'timeout',
        execution: 'unknown',
        gateway,
      });
    const params = initializeParams(clientInfo, options.clientCapabilities);
    const reply = await withDeadline(transportTimeoutMs, options.signal, late, (signal) =>
      session.request('initialize', params, { signal }),
    );
    session.initialized(readInitializeResult(reply, gateway));
    await session.notify('notifications/initialized', undefined, options.signal);
  }
}
