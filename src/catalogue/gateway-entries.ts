import { type CredentialSource, type Target } from '../session-pool/index.js';
import { type GatewayEntry, type Unreachable } from './catalogue-entries.js';
import { type GatewayRecord } from './entities/gateway.entity.js';
import { type GatewaySecrets, RecordCredentials, RecordSecrets } from './gateway-secrets.js';
import { type SessionPolicy } from './gateway-spec.js';
import { announcedKinds, type RefreshKind } from './refresh/refresh-kinds.js';

/** The gateways in memory: exactly one entry for each id, however many tools point to it. */
export class GatewayEntries {
  private readonly byId = new Map<string, LiveEntry>();

  constructor(private readonly secrets: GatewaySecrets) {}

  /** The entry of this record, made or renewed. Hand in the newest record only. */
  entryOf(record: GatewayRecord): GatewayEntry {
    const known = this.byId.get(record.id);
    if (known) {
      known.renew(record);
      return known;
    }
    const entry = new LiveEntry(this.secrets, record);
    this.byId.set(record.id, entry);
    return entry;
  }

  /** Renews an entry that is in use; others are read when somebody asks for them. */
  renew(record: GatewayRecord): void {
    this.byId.get(record.id)?.renew(record);
  }

  /** How a gateway is reached as this record says, whatever the entry in memory says by now. */
  targetOf(record: GatewayRecord): Target {
    return targetOf(record, new RecordCredentials(this.secrets, record), this.secrets);
  }

  /** The gateway was deleted: calls on their way with its entry see that. */
  drop(id: string): void {
    const entry = this.byId.get(id);
    if (entry) entry.deleted = true;
    this.byId.delete(id);
  }
}

class LiveEntry implements GatewayEntry {
  readonly id: string;
  name: string;
  slug: string;
  sessionPolicy: SessionPolicy;
  stateful?: boolean;
  enabled: boolean;
  listChanged?: ReadonlySet<RefreshKind>;
  connectionVersion = 0;
  unreachable?: Unreachable;
  deleted = false;
  passthroughHeaders: readonly string[];
  target: Target;
  private readonly credentials: RecordCredentials;

  constructor(
    private readonly secrets: GatewaySecrets,
    private record: GatewayRecord,
  ) {
    this.id = record.id;
    this.credentials = new RecordCredentials(secrets, record);
    this.target = targetOf(record, this.credentials, secrets);
    this.show(record);
  }

  renew(record: GatewayRecord): void {
    const changed = (columns: readonly (keyof GatewayRecord)[]): boolean =>
      columns.some((column) => record[column] !== this.record[column]);
    if (changed(TARGET_COLUMNS)) this.target = targetOf(record, this.credentials, this.secrets);
    if (changed(CONNECTION_COLUMNS)) this.connectionVersion += 1;
    this.credentials.renew(record);
    this.record = record;
    this.show(record);
  }

  private show(record: GatewayRecord): void {
    this.name = record.name;
    this.slug = record.slug;
    this.sessionPolicy = record.sessionPolicy;
    this.enabled = record.enabled;
    if (record.capabilities === null) delete this.listChanged;
    else this.listChanged = announcedKinds(record.capabilities);
    this.passthroughHeaders = record.passthroughHeaders;
    if (record.reachable) delete this.unreachable;
    else this.unreachable = unreachableOf(record);
    if (record.stateful === null) delete this.stateful;
    else this.stateful = record.stateful;
  }
}

function unreachableOf({ lastSeen, lastErrorReason }: GatewayRecord): Unreachable {
  return { reason: lastErrorReason ?? 'unknown', ...(lastSeen ? { since: lastSeen } : {}) };
}

const TARGET_COLUMNS = ['url', 'urlSealed', 'transport', 'tlsSealed'] as const;
const CONNECTION_COLUMNS = [...TARGET_COLUMNS, 'authSealed'] as const;

function targetOf(record: GatewayRecord, credentials: CredentialSource, secrets: GatewaySecrets): Target {
  const { url, tls } = new RecordSecrets(secrets, record);
  return {
    gatewayId: record.id,
    gatewayName: record.name,
    url,
    // A gateway that was never reached has no tools: only a refresh connects by this guess.
    transport: record.transport ?? (record.transportChoice === 'sse' ? 'sse' : 'streamablehttp'),
    credentials,
    ...(tls ? { tls } : {}),
  };
}
