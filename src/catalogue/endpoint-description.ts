import { type DataSource } from 'typeorm';

/** What `initialize` tells of an endpoint (SPEC D-6). */
export interface EndpointDescription {
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly instructions?: string;
  /** The server's own, where the endpoint is one gateway. */
  readonly serverInfo?: Readonly<Record<string, unknown>>;
}

type Members = Readonly<Record<string, unknown>>;

interface Row {
  readonly capabilities: string | null;
  readonly instructions: string | null;
  readonly server_info: string | null;
}

/** Capabilities that are relayed; what a server declares beyond them would be a promise that we cannot keep. */
const RELAYED = ['tools', 'resources', 'prompts', 'logging', 'completions'];

/** Out of what the gateways declared when they were last read: nobody is asked. */
export class EndpointDescriptions {
  constructor(private readonly database: DataSource) {}

  /** Everything: lists always (a gateway may bring one any time), the rest if any visible gateway has it. */
  async ofAll(): Promise<EndpointDescription> {
    const rows = await this.database.query<Row[]>(`SELECT "capabilities" FROM "gateways" WHERE "enabled"`);
    return aggregateOf(rows.map(({ capabilities }) => capabilities));
  }

  /** What the gateway itself declared; undefined when there is no such gateway. */
  async ofGateway(id: string): Promise<EndpointDescription | undefined> {
    const [row] = await this.database.query<Row[]>(
      `SELECT "capabilities", "instructions", "server_info" FROM "gateways" WHERE "id" = $1`,
      [id],
    );
    if (!row) return undefined;
    const declared = parsed(row.capabilities);
    const serverInfo = parsed(row.server_info);
    return {
      capabilities: Object.fromEntries(
        RELAYED.filter((name) => name in declared).map((name) => [name, declared[name]]),
      ),
      ...(row.instructions === null ? {} : { instructions: row.instructions }),
      ...(typeof serverInfo['name'] === 'string' ? { serverInfo } : {}),
    };
  }
}

/** What several gateways are together. @param declared what each of them declared, as JSON */
export function aggregateOf(declared: readonly (string | null)[]): EndpointDescription {
  const all = declared.map(parsed);
  const any = (name: string): boolean => all.some((one) => isRecord(one[name]));
  const subscribe = all.some(({ resources }) => isRecord(resources) && resources['subscribe'] === true);
  return {
    capabilities: {
      tools: { listChanged: true },
      resources: { listChanged: true, ...(subscribe ? { subscribe } : {}) },
      prompts: { listChanged: true },
      ...(any('logging') ? { logging: {} } : {}),
      ...(any('completions') ? { completions: {} } : {}),
    },
  };
}

function parsed(json: string | null): Members {
  const value: unknown = json === null ? undefined : JSON.parse(json);
  return isRecord(value) ? value : {};
}

function isRecord(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
