import { type CredentialPurpose, type HeaderMap } from '../upstream.port.js';

/** One message on its way to the server. */
export class Post {
  /** Ends it: before it was sent, it never will be. */
  readonly giveUp = new AbortController();
  /** Whether bytes may have reached the server. */
  sent = false;

  constructor(
    readonly body: Buffer,
    readonly purpose: CredentialPurpose,
    /** Of this message alone; protocol headers and credentials win. */
    readonly headers: HeaderMap = {},
  ) {}
}
