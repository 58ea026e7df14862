import { type Target, type UpstreamSession } from '../session-pool/index.js';

/** What reading a server needs of the session pool: a session of its own that no call ever uses. */
export abstract class UpstreamAccess {
  /**
   * Opens a session, runs `work` on it and terminates it, whatever happens.
   *
   * @throws UpstreamError when it cannot be opened; what `work` threw
   */
  abstract openUnpooled<R>(
    target: Target,
    purpose: 'registering' | 'refresh',
    work: (session: UpstreamSession) => Promise<R>,
    signal: AbortSignal,
  ): Promise<R>;
}
