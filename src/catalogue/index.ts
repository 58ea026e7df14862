/** What other rooms may use of the catalogue. */
export { CAPABILITY_KINDS, type CapabilityKind, KIND_PROTOCOL } from './capability-kind.js';
export { type CapabilityEdit, type CapabilityFilter, type OwnedCapability } from './capability-queries.js';
export {
  type CapabilityReading,
  type ListReading,
  type ServerReading,
  type ValidationError,
} from './capability-reading.js';
export { type CapabilityChanges, type KindChange } from './capability-store.js';
export {
  type GatewayEntry,
  type Lookup,
  type NamedEntry,
  type PromptLookup,
  type ResourceEntry,
  type ResourceLookup,
  type ToolEntry,
  type ToolLookup,
} from './catalogue-entries.js';
export { CatalogueModule } from './catalogue.module.js';
export { CatalogueService } from './catalogue.service.js';
export { type CatalogueView } from './catalogue-view.js';
export { type CatalogueChange } from './change-feed.js';
export {
  type ServerItem,
  type ServerItemSpec,
  shownName,
  type VirtualServerDetails,
  type VirtualServerFilter,
  type VirtualServerSpec,
  type VirtualServerSummary,
} from './servers/server-spec.js';
export { type ServerChange, type VirtualServers } from './servers/virtual-servers.js';
export { type EndpointDescription } from './endpoint-description.js';
export { type Page, type PageRequest } from './cursor.js';
export { ENTITIES, GatewayRecord } from './entities/index.js';
export { type CapabilityCounts, type GatewayDetails, type GatewayFilter } from './gateway-queries.js';
export { PlainCredentials, RecordSecrets } from './gateway-secrets.js';
export {
  CONNECTION_MEMBERS,
  type GatewayConnection,
  type GatewaySpec,
  SESSION_POLICIES,
  type SessionPolicy,
  TRANSPORT_CHOICES,
  type TransportChoice,
} from './gateway-spec.js';
export { type ConnectionColumns } from './gateway-store.js';
export { readCapabilities } from './read-capabilities.js';
export { SessionEvictor } from './session-evictor.js';
export { type HealthFinding, type HealthState } from './health-store.js';
export { NO_AUTH, type UpstreamAuth } from './upstream-auth.js';
export { REFRESH_KINDS, type RefreshKind } from './refresh/refresh-kinds.js';
export { type FailedList, type RefreshReport } from './refresh/refresh-report.js';
export { type RefreshRequest } from './refresh/gateway-refresh.js';
export { UpstreamAccess } from './upstream-access.js';
