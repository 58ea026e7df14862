import { Logger } from '@nestjs/common';
import { type CatalogueService, type GatewayDetails } from '../catalogue/index.js';
import { CodedError } from '../common/errors.js';
import { UpstreamError } from '../session-pool/index.js';
import { type ServerReader } from './server-reader.js';

/** One try to read a gateway that was stored deferred (SPEC G-2). */
export class ReadDeferred {
  private readonly logger = new Logger('DeferredGateways');

  constructor(
    private readonly catalogue: CatalogueService,
    private readonly reader: ServerReader,
  ) {}

  /** @returns whether it needs no more tries: read, read by somebody else, or gone */
  async attempt(id: string, signal: AbortSignal): Promise<boolean> {
    const details = await this.find(id);
    if (!details || details.record.lastRefreshAt !== null) return true;
    const { record } = details;
    try {
      const { transportChoice: transport, name } = record;
      const { url, auth, tls } = this.catalogue.secretsOf(record);
      const target = { id, name, url, transport, auth, tls };
      const reading = await this.reader.read(target, signal);
      // Not filled: it is gone, was read by another replica, or leads elsewhere by now; the next try tells which.
      if (!(await this.catalogue.fill(id, reading, record))) return false;
      this.logger.log(`gateway ${name} was reached and read`);
      return true;
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      if (!signal.aborted) await this.note(id, record.name, error as CodedError, record.lastErrorReason);
      return false;
    }
  }

  private async find(id: string): Promise<GatewayDetails | undefined> {
    try {
      return await this.catalogue.get(id);
    } catch (error) {
      if (error instanceof CodedError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  private async note(id: string, name: string, error: CodedError, reasonBefore: string | null): Promise<void> {
    const reason = (error instanceof UpstreamError ? error.reason : undefined) ?? error.code;
    const line = `deferred gateway ${name} cannot be read yet (${reason}): ${error.message}`;
    if (reason === reasonBefore) this.logger.debug(line);
    else this.logger.warn(line);
    await this.catalogue.noteFailure(id, reason, error.message);
  }
}
