import { CodedError } from '../common/errors.js';
import { type SecretBox } from '../common/secret-box.js';
import { type CredentialSource, type HeaderMap, type TlsMaterial } from '../session-pool/index.js';
import { authHeaders, NO_AUTH, type UpstreamAuth } from './upstream-auth.js';

/** The columns of a gateway that hold secrets. */
export interface SealedSecrets {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly urlSealed: string | null;
  readonly authSealed: string | null;
  readonly tlsSealed: string | null;
}

type SecretColumn = 'url' | 'auth' | 'tls';

/** Seals and opens what is secret in a gateway's record (SPEC S-4); each value is bound to its gateway and column. */
export class GatewaySecrets {
  constructor(private readonly box: SecretBox) {}

  /** A query may hold an API key: in clear stands only what comes before it. */
  sealUrl(id: string, url: string): Pick<SealedSecrets, 'url' | 'urlSealed'> {
    const [address = ''] = url.split(/[?#]/, 1);
    return { url: address, urlSealed: address === url ? null : this.seal(id, 'url', url) };
  }

  sealAuth(id: string, auth: UpstreamAuth): string | null {
    return auth.type === 'none' ? null : this.seal(id, 'auth', auth);
  }

  sealTls(id: string, tls: TlsMaterial | null): string | null {
    return tls === null ? null : this.seal(id, 'tls', tls);
  }

  /** @throws CodedError INTERNAL that says what to do, when the key is not the one that sealed it */
  openUrl(record: SealedSecrets): string {
    return record.urlSealed === null ? record.url : (this.open(record, record.urlSealed, 'url') as string);
  }

  openAuth(record: SealedSecrets): UpstreamAuth {
    return record.authSealed === null ? NO_AUTH : (this.open(record, record.authSealed, 'auth') as UpstreamAuth);
  }

  openTls(record: SealedSecrets): TlsMaterial | null {
    return record.tlsSealed === null ? null : (this.open(record, record.tlsSealed, 'tls') as TlsMaterial);
  }

  private seal(id: string, column: SecretColumn, value: unknown): string {
    return this.box.seal(JSON.stringify(value), contextOf(id, column));
  }

  private open(record: SealedSecrets, sealed: string, column: SecretColumn): unknown {
    try {
      return JSON.parse(this.box.open(sealed, contextOf(record.id, column)));
    } catch (cause) {
      const message = `${column} of gateway ${record.name} cannot be decrypted: is ENCRYPTION_KEY the one it was stored with?`;
      throw new CodedError('INTERNAL', message, { cause, gateway: record.name });
    }
  }
}

function contextOf(id: string, column: SecretColumn): string {
  return `gateway:${id}:${column}`;
}

/** What is secret in one record, in clear. Opened member by member, so that one that cannot be read hides no other. */
export class RecordSecrets {
  constructor(
    private readonly secrets: GatewaySecrets,
    private readonly record: SealedSecrets,
  ) {}

  /** The whole URL, with its query. */
  get url(): string {
    return this.secrets.openUrl(this.record);
  }

  get auth(): UpstreamAuth {
    return this.secrets.openAuth(this.record);
  }

  get tls(): TlsMaterial | null {
    return this.secrets.openTls(this.record);
  }
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
