import { CapabilityRecord } from './capability.entity.js';
import { GatewayRecord } from './gateway.entity.js';
import { VirtualServerItemRecord } from './virtual-server-item.entity.js';
import { VirtualServerRecord } from './virtual-server.entity.js';

/** Every table of the service, for the data source. */
export const ENTITIES = [GatewayRecord, CapabilityRecord, VirtualServerRecord, VirtualServerItemRecord];

export { CapabilityRecord, GatewayRecord, VirtualServerItemRecord, VirtualServerRecord };
