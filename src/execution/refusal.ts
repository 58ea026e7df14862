import { type UpstreamReply } from '../session-pool/index.js';

/** Our answer to a server's request that no client can be asked (SPEC D-8): −32601, and why. */
export function refusal(why: string): UpstreamReply {
  return { kind: 'error', raw: Buffer.from(JSON.stringify({ code: -32601, message: why })) };
}
