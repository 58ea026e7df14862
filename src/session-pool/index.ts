export { type BoundOwner } from './bound-owner.js';
export { PoolError } from './pool.errors.js';
export { PoolKey } from './pool-key.js';
export { SessionPoolModule } from './session-pool.module.js';
export { SessionPoolService } from './session-pool.service.js';
export {
  type PoolPlace,
  type PoolUse,
  type ServerNotification,
  type UnpooledHow,
  type UnpooledPurpose,
} from './session-pool.types.js';
export { type ReasonClass, UpstreamError } from '../upstream/upstream.errors.js';
export type {
  CredentialPurpose,
  CredentialSource,
  HeaderMap,
  RawJson,
  RequestOptions,
  ServerInfo,
  SessionObserver,
  Target,
  TlsMaterial,
  Transport,
  UpstreamMessage,
  UpstreamReply,
  UpstreamSession,
} from '../upstream/upstream.port.js';
