import { randomUUID } from 'node:crypto';
import { type CatalogueService, type GatewayDetails, type ValidationError } from '../catalogue/index.js';
import { CodedError } from '../common/errors.js';
import { type DeferredGateways } from './deferred-gateways.js';
import { type NewGateway } from './gateway.schemas.js';
import { type ServerReader } from './server-reader.js';

export interface StoredGateway {
  readonly details: GatewayDetails;
  /** Set when the server was read for this. */
  readonly validationErrors?: readonly ValidationError[];
}

/** SPEC G-2: check, connect, read everything, store it in one transaction. What fails leaves nothing behind. */
export class RegisterGateway {
  constructor(
    private readonly catalogue: CatalogueService,
    private readonly reader: ServerReader,
    private readonly deferred: DeferredGateways,
  ) {}

  /**
   * @throws CodedError CONFLICT for a name that is taken, before anything is connected; what `ServerReader.read` throws
   */
  async run(spec: NewGateway, signal: AbortSignal): Promise<StoredGateway> {
    await refuseTakenName(this.catalogue, spec.name);
    const id = randomUUID();
    const reading = await this.reader.read({ ...spec, id }, signal);
    const details = await this.catalogue.register(spec, reading, id);
    return { details, validationErrors: reading.capabilities.validationErrors };
  }

  /** `?deferred=true`: stored unreached, and read in the background as soon as the server can be reached. */
  async runDeferred(spec: NewGateway): Promise<StoredGateway> {
    await refuseTakenName(this.catalogue, spec.name);
    const details = await this.catalogue.register(spec);
    this.deferred.add(details.record.id);
    return { details };
  }
}

export async function refuseTakenName(catalogue: CatalogueService, name: string): Promise<void> {
  if (!(await catalogue.nameTaken(name))) return;
  throw new CodedError('CONFLICT', `a gateway with the name ${name} exists already`);
}
