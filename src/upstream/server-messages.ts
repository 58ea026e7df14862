import { type RpcMessage } from '../common/jsonrpc.js';
import { type UpstreamMessage, type UpstreamReply } from './upstream.port.js';

const EMPTY_RESULT = Buffer.from('{}');

/**
 * What we answer to a request of the server ourselves: `ping` always, everything else if nobody listens. A pooled
 * session has no client that could be asked, and asking some other one would be a leak (SPEC D-8).
 *
 * @returns undefined if the message is a notification, or is the listener's
 */
export function refuseServerRequest(message: RpcMessage, hasListener: boolean): UpstreamReply | undefined {
  if (message.id === undefined) return undefined;
  if (message.method === 'ping') return { kind: 'result', raw: EMPTY_RESULT };
  if (hasListener) return undefined;
  const error = {
    code: -32601,
    message: `${message.method} is not possible here: this session of the gateway belongs to no interactive client`,
  };
  return { kind: 'error', raw: Buffer.from(JSON.stringify(error)) };
}

export function toMessage(message: RpcMessage, origin: number | undefined): UpstreamMessage {
  return {
    method: message.method as string,
    ...(message.params === undefined ? {} : { params: message.params }),
    ...(message.id === undefined ? {} : { id: message.id }),
    ...(origin === undefined ? {} : { origin }),
  };
}

/** A response of the server, which has one of the two. */
export function replyOf(message: RpcMessage): UpstreamReply {
  if (message.error) return { kind: 'error', raw: message.error };
  return { kind: 'result', raw: message.result as Buffer };
}
