import { isDeepStrictEqual } from 'node:util';
import {
  type CatalogueService,
  CONNECTION_MEMBERS,
  type GatewayConnection,
  type GatewayRecord,
  type GatewaySpec,
} from '../catalogue/index.js';
import { type GatewayPatch } from './gateway.schemas.js';
import { readable } from './readable.js';
import { refuseTakenName, type StoredGateway } from './register-gateway.js';
import { type ServerReader } from './server-reader.js';

/**
 * Changes a gateway. Another connection is tried out and read before it is stored, so a typing error leaves everything
 * as it was; names handed out stay (SPEC G-4), sessions of the old connection go (P-14).
 */
export class ChangeGateway {
  constructor(
    private readonly catalogue: CatalogueService,
    private readonly reader: ServerReader,
  ) {}

  /** @throws CodedError NOT_FOUND, CONFLICT; what `ServerReader.read` throws */
  async run(id: string, patch: GatewayPatch, signal: AbortSignal): Promise<StoredGateway> {
    const before = await this.catalogue.get(id);
    const { record } = before;
    const change = this.differences(record, patch);
    if (Object.keys(change).length === 0) return { details: before };
    if (change.name !== undefined) await refuseTakenName(this.catalogue, change.name);
    if (!CONNECTION_MEMBERS.some((member) => member in change)) {
      return { details: await this.catalogue.update(id, change) };
    }
    const connection = this.connectionOf(record, change);
    const reading = await this.reader.read({ ...connection, id, name: change.name ?? record.name }, signal);
    const details = await this.catalogue.update(id, change, reading, record);
    return { details, validationErrors: reading.capabilities.validationErrors };
  }

  /** What the patch says and the record does not say already. */
  private differences(record: GatewayRecord, patch: GatewayPatch): Partial<GatewaySpec> {
    const { transportChoice: transport, ...plain } = record;
    const secrets = this.catalogue.secretsOf(record);
    const current: Record<string, unknown> = {
      ...{ ...plain, transport },
      // What cannot be read any more differs from everything, so that it can be replaced.
      url: readable(() => secrets.url),
      auth: readable(() => secrets.auth),
      tls: readable(() => secrets.tls),
    };
    return Object.fromEntries(
      Object.entries(patch).filter(
        ([member, value]) => value !== undefined && !isDeepStrictEqual(current[member], value),
      ),
    );
  }

  private connectionOf(record: GatewayRecord, change: Partial<GatewaySpec>): GatewayConnection {
    const stored = this.catalogue.secretsOf(record);
    return {
      url: change.url ?? stored.url,
      transport: change.transport ?? record.transportChoice,
      auth: change.auth ?? stored.auth,
      tls: change.tls === undefined ? stored.tls : change.tls,
    };
  }
}
