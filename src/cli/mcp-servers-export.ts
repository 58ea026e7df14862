/** What REST says of a gateway, as far as an `mcpServers` file can say it; secrets are masked there already. */
export interface ExportableGateway {
  readonly name: string;
  readonly url: string;
  readonly transport: 'auto' | 'streamablehttp' | 'sse';
  readonly enabled: boolean;
  readonly auth: { readonly type: string; readonly headers?: Readonly<Record<string, string>> };
  readonly tls: unknown;
  readonly passthroughHeaders: readonly string[];
}

export interface FileServer {
  readonly type?: 'http' | 'sse';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly disabled?: true;
}

export interface McpServersExport {
  readonly mcpServers: Readonly<Record<string, FileServer>>;
  /** What the form cannot say, and the variables that an import needs. */
  readonly notes: readonly string[];
}

const MASK = '***';
const TYPES = { auto: undefined, streamablehttp: 'http', sse: 'sse' } as const;

export function mcpServersOf(gateways: readonly ExportableGateway[]): McpServersExport {
  const names = new Placeholders();
  const notes: string[] = [];
  const mcpServers = Object.fromEntries(
    gateways.map((gateway) => {
      const { name, enabled, auth, tls, passthroughHeaders } = gateway;
      const type = TYPES[gateway.transport];
      const headers = headersOf(gateway, names);
      if (tls !== null) notes.push(`${name}: tls has no place in this form`);
      if (passthroughHeaders.length > 0) notes.push(`${name}: passthroughHeaders have no place in this form`);
      if (auth.type === 'unreadable') notes.push(`${name}: its credentials cannot be read (another ENCRYPTION_KEY)`);
      const server: FileServer = {
        ...(type === undefined ? {} : { type }),
        url: unmasked(gateway, names),
        ...(headers === undefined ? {} : { headers }),
        ...(enabled ? {} : { disabled: true }),
      };
      return [name, server];
    }),
  );
  if (names.all.length > 0) notes.push(`to be set before an import: ${names.all.join(', ')}`);
  return { mcpServers, notes };
}

function headersOf({ name, auth }: ExportableGateway, names: Placeholders): Record<string, string> | undefined {
  switch (auth.type) {
    case 'bearer':
      return { Authorization: `Bearer ${names.next(name, 'TOKEN')}` };
    case 'basic':
      return { Authorization: `Basic ${names.next(name, 'BASIC')}` };
    case 'headers':
      return Object.fromEntries(Object.keys(auth.headers ?? {}).map((header) => [header, names.next(name, header)]));
    default:
      return undefined;
  }
}

/** A query's values are masked, because API keys live there. */
function unmasked({ name, url }: ExportableGateway, names: Placeholders): string {
  const [address = '', query] = url.split('?', 2);
  if (query === undefined) return url;
  const pairs = query.split('&').map((pair) => {
    if (pair === MASK) return names.next(name, 'QUERY');
    return pair.endsWith(`=${MASK}`) ? pair.slice(0, -MASK.length) + names.next(name, pair.slice(0, -4)) : pair;
  });
  return `${address}?${pairs.join('&')}`;
}

/** `${NAME}`, each name once. */
class Placeholders {
  readonly all: string[] = [];

  next(...parts: readonly string[]): string {
    const words = parts.map((part) => part.toUpperCase().replace(/[^A-Z0-9]+/g, '_'));
    const plain = words.join('_').replace(/^(?=[0-9])/, '_');
    let name = plain;
    for (let n = 2; this.all.includes(name); n++) name = `${plain}_${n}`;
    this.all.push(name);
    return `\${${name}}`;
  }
}
