import { Cancellation } from '../../common/cancellation.js';
import { type Exchange } from '../http/exchange.js';
import { type CredentialPurpose, type HeaderMap } from '../upstream.port.js';

/** One message on its way to the server. */
export class Post {
  /** Ends it: before it was sent, it never will be. */
  readonly giveUp = new Cancellation();
  /** The request that carries it, once there is one. */
  exchange: Exchange | undefined;

  constructor(
    readonly body: Buffer,
    readonly purpose: CredentialPurpose,
    /** Of this message alone; protocol headers and credentials win. */
    readonly headers: HeaderMap = {},
  ) {}

  /** Whether bytes may have reached the server. */
  get sent(): boolean {
    return this.exchange?.started ?? false;
  }
}
