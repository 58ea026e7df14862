/** A URL that may be printed: no password, no query (API keys live there). */
export function maskUrl(text: string): string {
  if (!URL.canParse(text)) return '(not a URL)';
  const url = new URL(text);
  if (url.password) url.password = '***';
  // A user without a password on HTTP is nearly always an API key.
  else if (url.username && /^https?:$/.test(url.protocol)) url.username = '***';
  if (url.search) url.search = '?***';
  return url.toString();
}
