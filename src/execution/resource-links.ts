import { LRUCache } from 'lru-cache';
import { JsonError, scanArray, scanObject, sliceOf } from '../common/json-scan.js';
import { readString } from '../common/jsonrpc.js';

const MAX_LINKS = 1_000;
/** A quick look that nearly every result fails. */
const MARK = Buffer.from('"resource_link"');

/** Which gateway the resource links in tool results came from, so that they can be read (SPEC G-4). The newest stay. */
export class ResourceLinks {
  private readonly gateways = new LRUCache<string, string>({ max: MAX_LINKS });

  gatewayOf(uri: string): string | undefined {
    return this.gateways.get(uri);
  }

  note(uris: Iterable<string>, gatewayId: string): void {
    for (const uri of uris) this.gateways.set(uri, gatewayId);
  }
}

/** The URIs of the resource links in the result of a tool; nothing if it has none or is not what the protocol says. */
export function linksIn(result: Buffer): string[] {
  if (!result.includes(MARK)) return [];
  try {
    const content = scanObject(result).get('content');
    if (!content) return [];
    const list = sliceOf(result, content);
    return scanArray(list).flatMap((span) => linkOf(sliceOf(list, span)));
  } catch (error) {
    if (error instanceof JsonError) return [];
    throw error;
  }
}

function linkOf(item: Buffer): string[] {
  const members = scanObject(item);
  const type = members.get('type');
  const uri = members.get('uri');
  if (!type || !uri || sliceOf(item, type).compare(MARK) !== 0) return [];
  return [readString(sliceOf(item, uri))];
}
