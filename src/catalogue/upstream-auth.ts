import { type HeaderMap } from '../session-pool/index.js';

/** How a gateway proves itself to its server (SPEC S-4). */
export type UpstreamAuth =
  | { readonly type: 'none' }
  | { readonly type: 'basic'; readonly username: string; readonly password: string }
  | { readonly type: 'bearer'; readonly token: string }
  | { readonly type: 'headers'; readonly headers: Readonly<Record<string, string>> };

export const NO_AUTH: UpstreamAuth = { type: 'none' };

/** The headers that carry these credentials, names in lower case. */
export function authHeaders(auth: UpstreamAuth): HeaderMap {
  switch (auth.type) {
    case 'none':
      return {};
    case 'basic':
      return { authorization: `Basic ${Buffer.from(`${auth.username}:${auth.password}`, 'utf8').toString('base64')}` };
    case 'bearer':
      return { authorization: `Bearer ${auth.token}` };
    case 'headers':
      return Object.fromEntries(Object.entries(auth.headers).map(([name, value]) => [name.toLowerCase(), value]));
  }
}
