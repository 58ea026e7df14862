import { Agent, type Dispatcher } from 'undici';
import { sha256Hex } from '../common/principal.js';
import { type TlsMaterial } from './upstream.port.js';

/** Standing streams have sockets of their own, so that they cannot starve calls (SPEC P-4). */
export type SocketUse = 'call' | 'stream';

export interface DispatchersOptions {
  readonly connectTimeoutMs: number;
}

/**
 * The HTTP connections of this process to MCP servers: one `undici` agent for each TLS material and use, each with a
 * pool for every origin. No cap on sockets: several gateways may share an origin, and what they may have open is bounded
 * for each by MCP_SESSION_POOL_MAX_CALLS_PER_GATEWAY and _MAX_PER_GATEWAY (SPEC P-7); a lower one here would make calls
 * wait that nobody could explain. No time-outs on headers or bodies: a call may be silent for minutes, and its own deadline ends
 * it (undici's default of 300 s would).
 */
export class Dispatchers {
  private readonly agents = new Map<string, Agent>();
  private closing: Promise<void> | undefined;

  constructor(private readonly options: DispatchersOptions) {}

  for(tls: TlsMaterial | undefined, use: SocketUse): Dispatcher {
    const key = `${use}:${tls ? sha256Hex(JSON.stringify([tls.ca, tls.cert, tls.key, tls.serverName])) : ''}`;
    const known = this.agents.get(key);
    if (known) return known;
    const agent = this.open(tls);
    this.agents.set(key, agent);
    return agent;
  }

  /** Ends every connection, requests in flight included. */
  close(): Promise<void> {
    this.closing ??= Promise.all([...this.agents.values()].map((agent) => agent.destroy())).then(() => undefined);
    return this.closing;
  }

  private open(tls: TlsMaterial | undefined): Agent {
    const { connectTimeoutMs } = this.options;
    return new Agent({
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: {
        timeout: connectTimeoutMs,
        ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
        ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
        ...(tls?.key === undefined ? {} : { key: tls.key }),
        ...(tls?.serverName === undefined ? {} : { servername: tls.serverName }),
      },
    });
  }
}
