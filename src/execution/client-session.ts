import { type CatalogueView, type GatewayEntry } from '../catalogue/index.js';
import { JsonError } from '../common/json-scan.js';
import { memberSpan } from '../common/json-splice.js';
import { type SessionSink } from './client-sink.js';
import { GatewayBinding } from './gateway-binding.js';
import { ResourceLinks } from './resource-links.js';

/** RFC 5424, as MCP, Utilities, "Logging" names them; the least severe first. */
export const LOG_LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Client capabilities that we can relay to a server (SPEC P-4). */
const RELAYED = ['sampling', 'elicitation', 'roots'];

type Capabilities = Readonly<Record<string, unknown>>;

export interface ClientSessionOptions {
  readonly id: string;
  /** SHA-256 of the id: what its bound upstream sessions are keyed by (SPEC P-1). */
  readonly hash: string;
  readonly clientCapabilities: Capabilities;
  /** What the client is shown. */
  readonly view: CatalogueView;
  /** Where goes what belongs to the session and to no call. */
  readonly sink: SessionSink;
}

/** A downstream session as execution knows it: what it has at each gateway, its log level, the links that it has seen. */
export class ClientSession {
  readonly id: string;
  readonly hash: string;
  readonly view: CatalogueView;
  readonly sink: SessionSink;
  readonly relayedCapabilities: Capabilities;
  logLevel: LogLevel | undefined;
  private readonly bindings = new Map<string, GatewayBinding>();
  private seen: ResourceLinks | undefined;

  constructor({ id, hash, clientCapabilities, view, sink }: ClientSessionOptions) {
    this.id = id;
    this.hash = hash;
    this.view = view;
    this.sink = sink;
    this.relayedCapabilities = Object.fromEntries(
      RELAYED.filter((name) => name in clientCapabilities).map((name) => [name, clientCapabilities[name]]),
    );
  }

  declares(capability: string): boolean {
    return capability in this.relayedCapabilities;
  }

  bindingOf(gateway: GatewayEntry, limits: { readonly maxMs: number }): GatewayBinding {
    let binding = this.bindings.get(gateway.id);
    if (!binding) this.bindings.set(gateway.id, (binding = new GatewayBinding(this, limits)));
    return binding;
  }

  get bound(): Iterable<GatewayBinding> {
    return this.bindings.values();
  }

  /** Resources that tools have linked to in this session (SPEC G-4). */
  get links(): ResourceLinks {
    this.seen ??= new ResourceLinks();
    return this.seen;
  }

  /** Whether a logging message is at least as severe as the client asked for. @param params of the notification */
  wantsLog(params: Buffer | undefined): boolean {
    if (this.logLevel === undefined || !params) return true;
    const level = levelOf(params);
    return level === undefined || LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(this.logLevel);
  }
}

function levelOf(params: Buffer): LogLevel | undefined {
  try {
    const span = memberSpan(params, 'level');
    const text = span && params.toString('latin1', span.start + 1, span.end - 1);
    return LOG_LEVELS.find((level) => level === text);
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
