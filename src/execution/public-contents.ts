import { JsonError, scanArray, scanObject, sliceOf } from '../common/json-scan.js';
import { type UpstreamReply } from '../session-pool/index.js';
import { type ResourceEntry } from '../catalogue/catalogue-entries.js';
import { spliceDefinition } from '../catalogue/splice-definition.js';

/**
 * An answer to `resources/read` in which the contents bear the URI that was asked for, where that is an alias
 * (SPEC G-4); every other byte stays, and mostly all of them (D-7).
 */
export function withPublicUri(reply: UpstreamReply, { publicUri, originalUri }: ResourceEntry): UpstreamReply {
  if (reply.kind === 'error' || publicUri === originalUri) return reply;
  try {
    return { kind: 'result', raw: renamed(reply.raw, originalUri, publicUri) };
  } catch (error) {
    // A result that is no object with a list of contents is the server's own affair.
    if (error instanceof JsonError) return reply;
    throw error;
  }
}

function renamed(result: Buffer, from: string, to: string): Buffer {
  const contents = scanObject(result).get('contents');
  if (!contents) return result;
  const list = sliceOf(result, contents);
  const parts: Buffer[] = [];
  let at = 0;
  for (const span of scanArray(list)) {
    const entry = sliceOf(list, span);
    parts.push(list.subarray(at, span.start), uriOf(entry) === from ? spliceDefinition(entry, { uri: to }) : entry);
    at = span.end;
  }
  return Buffer.concat([
    result.subarray(0, contents.start),
    ...parts,
    list.subarray(at),
    result.subarray(contents.end),
  ]);
}

function uriOf(entry: Buffer): unknown {
  const uri = scanObject(entry).get('uri');
  return uri && (JSON.parse(sliceOf(entry, uri).toString('utf8')) as unknown);
}
