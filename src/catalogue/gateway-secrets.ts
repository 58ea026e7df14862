import { CodedError } from '../common/errors.js';
import { type SecretBox } from '../common/secret-box.js';
import { type CredentialSource, type HeaderMap, type TlsMaterial } from '../session-pool/index.js';
import { authHeaders, NO_AUTH, type UpstreamAuth } from './upstream-auth.js';

/** The columns of a gateway that hold secrets. */
export interface SealedSecrets {
  readonly id: string;
  readonly name: string;
  readonly authSealed: string | null;
  readonly tlsSealed: string | null;
}

/** Seals and opens what is secret in a gateway's record (SPEC S-4); each value is bound to its gateway and column. */
export class GatewaySecrets {
  constructor(private readonly box: SecretBox) {}

  sealAuth(id: string, auth: UpstreamAuth): string | null {
    return auth.type === 'none' ? null : this.box.seal(JSON.stringify(auth), contextOf(id, 'auth'));
  }

  sealTls(id: string, tls: TlsMaterial | null): string | null {
    return tls === null ? null : this.box.seal(JSON.stringify(tls), contextOf(id, 'tls'));
  }

  /** @throws CodedError INTERNAL that says what to do, when the key is not the one that sealed it */
  openAuth(record: SealedSecrets): UpstreamAuth {
    if (record.authSealed === null) return NO_AUTH;
    return this.open(record, record.authSealed, 'auth') as UpstreamAuth;
  }

  openTls(record: SealedSecrets): TlsMaterial | null {
    return record.tlsSealed === null ? null : (this.open(record, record.tlsSealed, 'tls') as TlsMaterial);
  }

  private open(record: SealedSecrets, sealed: string, column: 'auth' | 'tls'): unknown {
    try {
      return JSON.parse(this.box.open(sealed, contextOf(record.id, column)));
    } catch (cause) {
      const message = `${column} of gateway ${record.name} cannot be decrypted: is ENCRYPTION_KEY the one it was stored with?`;
      throw new CodedError('INTERNAL', message, { cause, gateway: record.name });
    }
  }
}

function contextOf(id: string, column: 'auth' | 'tls'): string {
  return `gateway:${id}:${column}`;
}

/** The credentials of a gateway's newest record: opened when first used, and anew once they were rotated (SPEC P-16). */
export class RecordCredentials implements CredentialSource {
  private opened: HeaderMap | undefined;

  constructor(
    private readonly secrets: GatewaySecrets,
    private record: SealedSecrets,
  ) {}

  renew(record: SealedSecrets): void {
    if (record.authSealed !== this.record.authSealed) this.opened = undefined;
    this.record = record;
  }

  headers(): HeaderMap {
    this.opened ??= authHeaders(this.secrets.openAuth(this.record));
    return this.opened;
  }
}

/** Credentials in clear, for a gateway that is not stored yet. */
export class PlainCredentials implements CredentialSource {
  constructor(private readonly auth: UpstreamAuth) {}

  headers(): HeaderMap {
    return authHeaders(this.auth);
  }
}
