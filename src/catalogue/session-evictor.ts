/** What the catalogue needs of the session pool: sessions of a gateway that changed must not be used again (SPEC P-14). */
export abstract class SessionEvictor {
  /** Idle sessions go at once, leased ones when they come back. */
  abstract evictGateway(gatewayId: string): void;
}
