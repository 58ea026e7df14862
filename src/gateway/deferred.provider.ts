import { Logger } from '@nestjs/common';
import { type CatalogueService } from '../catalogue/index.js';
import { DeferredGateways } from './deferred-gateways.js';
import { ReadDeferred } from './read-deferred.js';
import { type ServerReader } from './server-reader.js';
import { stackOf } from './stack-of.js';

/** Builds the plain retry class on the use case that it retries. */
export function deferredFor(catalogue: CatalogueService, reader: ServerReader): DeferredGateways {
  const logger = new Logger('DeferredGateways');
  const read = new ReadDeferred(catalogue, reader);
  return new DeferredGateways({
    attempt: (id, signal) => read.attempt(id, signal),
    onError: (id, error) => logger.error(`deferred gateway ${id} could not be tried`, stackOf(error)),
  });
}
