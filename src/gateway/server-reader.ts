import {
  CAPABILITY_KINDS,
  type GatewayConnection,
  KIND_PROTOCOL,
  PlainCredentials,
  readCapabilities,
  type ServerReading,
  type UpstreamAccess,
} from '../catalogue/index.js';
import { withDeadline } from '../common/deadline.js';
import { CodedError } from '../common/errors.js';
import { type Target, type Transport, UpstreamError, type UpstreamSession } from '../session-pool/index.js';

export interface ServerReaderOptions {
  /** For one page of a list. */
  readonly pageTimeoutMs: number;
  /** For everything together. */
  readonly totalTimeoutMs: number;
}

export interface ReadTarget extends GatewayConnection {
  readonly id: string;
  readonly name: string;
}

/** What a server that does not speak streamable HTTP answers to its first POST (SPEC G-3). */
const NOT_STREAMABLE = [400, 404, 405];

/** Connects to a server that is to be registered and reads all it offers (SPEC G-2, G-3). */
export class ServerReader {
  constructor(
    private readonly upstream: UpstreamAccess,
    private readonly options: ServerReaderOptions,
  ) {}

  /**
   * @returns a reading in which no list failed
   * @throws UpstreamError with the reason class when there is no session; CodedError that names the list that failed
   */
  async read(gateway: ReadTarget, signal: AbortSignal): Promise<ServerReading> {
    const { totalTimeoutMs } = this.options;
    const late = (): Error =>
      new UpstreamError('UPSTREAM_TIMEOUT', `${gateway.name}: not read completely within ${totalTimeoutMs} ms`, {
        gateway: gateway.name,
        reason: 'timeout',
        execution: 'unknown',
      });
    const reading = await withDeadline(totalTimeoutMs, signal, late, (limit) => this.connect(gateway, limit)).catch(
      (error: unknown) => {
        // Given up by us (the service ends): not the server's doing, and not the client's.
        throw signal.aborted ? signal.reason : asUnreachable(error);
      },
    );
    assertComplete(gateway.name, reading);
    return reading;
  }

  private async connect(gateway: ReadTarget, signal: AbortSignal): Promise<ServerReading> {
    if (gateway.transport !== 'auto') return this.readOver(gateway.transport, gateway, signal);
    try {
      return await this.readOver('streamablehttp', gateway, signal);
    } catch (first) {
      if (!(first instanceof UpstreamError) || !NOT_STREAMABLE.includes(first.status ?? 0)) throw first;
      return this.fallBack(gateway, first, signal);
    }
  }

  private async fallBack(gateway: ReadTarget, first: UpstreamError, signal: AbortSignal): Promise<ServerReading> {
    try {
      return await this.readOver('sse', gateway, signal);
    } catch (second) {
      if (!(second instanceof UpstreamError)) throw second;
      const { code, message, options, reason, execution, status } = second;
      throw new UpstreamError(code, `${first.message}; and over SSE: ${message}`, {
        ...options,
        ...(reason === undefined ? {} : { reason }),
        ...(status === undefined ? {} : { status }),
        execution,
        cause: second,
      });
    }
  }

  private readOver(transport: Transport, gateway: ReadTarget, signal: AbortSignal): Promise<ServerReading> {
    const { pageTimeoutMs } = this.options;
    const work = async (session: UpstreamSession): Promise<ServerReading> => ({
      transport,
      stateful: transport === 'sse' || session.sessionId !== undefined,
      server: session.server,
      capabilities: await readCapabilities(session, { pageTimeoutMs, signal }),
    });
    return this.upstream.openUnpooled(targetOf(gateway, transport), 'registering', work, signal);
  }
}

function targetOf(gateway: ReadTarget, transport: Transport): Target {
  return {
    gatewayId: gateway.id,
    gatewayName: gateway.name,
    url: gateway.url,
    transport,
    credentials: new PlainCredentials(gateway.auth),
    ...(gateway.tls ? { tls: gateway.tls } : {}),
  };
}

/** A gateway with half of its lists would look complete to everybody. */
function assertComplete(name: string, { capabilities }: ServerReading): void {
  const failed = CAPABILITY_KINDS.flatMap((kind) => {
    const list = capabilities.lists[kind];
    return list.status === 'failed' ? [{ list: KIND_PROTOCOL[kind].method, error: list.error }] : [];
  });
  const [first] = failed;
  if (!first) return;
  const text = failed.map(({ list, error }) => `${list} could not be read (${error.message})`).join('; ');
  throw new CodedError(
    first.error.code === 'UPSTREAM_TIMEOUT' ? 'UPSTREAM_UNAVAILABLE' : first.error.code,
    `${name}: ${text}`,
    {
      cause: first.error,
      gateway: name,
      details: {
        ...(first.error.data.reason === undefined ? {} : { reason: first.error.data.reason }),
        lists: failed.map(({ list, error }) => ({ list, code: error.code, message: error.message })),
      },
    },
  );
}

/** SPEC G-2: whoever registers a server that cannot be reached gets 502, a time-out included; `reason` says which. */
function asUnreachable(error: unknown): unknown {
  if (!(error instanceof CodedError) || error.code !== 'UPSTREAM_TIMEOUT') return error;
  return new CodedError('UPSTREAM_UNAVAILABLE', error.message, { ...error.options, retryable: true, cause: error });
}
