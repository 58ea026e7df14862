import { type GatewaySpec, type UpstreamAuth } from '../catalogue/index.js';

/** Stands in answers where a secret is. */
export const MASK = '***';

/** The URL without the values of its query: API keys live there (SPEC S-4). All the rest as it was given. */
export function maskQuery(url: string): string {
  const [address = '', query] = splitQuery(url);
  if (query === undefined) return address;
  return `${address}?${query.replace(/(^|&)([^=&]*)(=[^&]*)?/g, maskPair)}`;
}

export function isMaskedUrl(url: string): boolean {
  const [, query] = splitQuery(url);
  return query !== undefined && query.split('&').some((pair) => pair === MASK || pair.endsWith(`=${MASK}`));
}

/** Whatever else is masked, a name tells which secret is there. */
export function maskAuth(auth: UpstreamAuth): UpstreamAuth {
  switch (auth.type) {
    case 'none':
      return auth;
    case 'basic':
      return { ...auth, password: MASK };
    case 'bearer':
      return { ...auth, token: MASK };
    case 'headers':
      return { type: 'headers', headers: Object.fromEntries(Object.keys(auth.headers).map((name) => [name, MASK])) };
  }
}

export function maskTls(tls: GatewaySpec['tls']): GatewaySpec['tls'] {
  return tls?.key === undefined ? tls : { ...tls, key: MASK };
}

function splitQuery(url: string): [string, string | undefined] {
  const [withoutHash = ''] = url.split('#');
  const at = withoutHash.indexOf('?');
  return at < 0 ? [withoutHash, undefined] : [withoutHash.slice(0, at), withoutHash.slice(at + 1)];
}

/** `name=***`; a query that is one bare word may be a key itself. */
function maskPair(pair: string, separator: string, name: string, value: string | undefined): string {
  if (pair === separator) return pair;
  return value === undefined ? `${separator}${MASK}` : `${separator}${name}=${MASK}`;
}
