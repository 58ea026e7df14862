import { SignJWT } from 'jose';

export const TEST_JWT_SECRET = 'a-secret-for-tests-only-0123456789abcdef';

export interface TokenClaims {
  readonly scope?: string;
  readonly tenant?: string;
  readonly issuer?: string;
}

let serial = 0;

/** Authorization header with a token of its own: two calls for one subject give two different tokens. */
export async function bearer(sub: string, claims: TokenClaims = {}): Promise<{ authorization: string }> {
  const { scope = 'mcp:use', tenant, issuer } = claims;
  let token = new SignJWT({ scope, jti: String((serial += 1)), ...(tenant === undefined ? {} : { tenant }) })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime('10m');
  if (issuer !== undefined) token = token.setIssuer(issuer);
  return { authorization: `Bearer ${await token.sign(Buffer.from(TEST_JWT_SECRET))}` };
}
