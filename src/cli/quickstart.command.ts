import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { startService } from '../app/serve.js';
import { StartupError } from '../common/startup-error.js';
import { startDemoServer } from './demo-server.js';

export interface QuickstartOptions {
  readonly once: boolean;
  readonly print: (line: string) => void;
}

const GATEWAY = 'everything';
const TOOL = `${GATEWAY}-echo`;

/**
 * The whole way once, with real parts: MCP server, gateway with the embedded database, registration over REST, the
 * official client, two calls. Uses `PORT` and `DATA_DIR` if they are set; else a free port, and a directory that is
 * removed at the end.
 */
export async function quickstart(options: QuickstartOptions): Promise<void> {
  const { print } = options;
  const ends: (() => Promise<unknown>)[] = [];
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    await run(options, ends, stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    // The last that was started ends first, and nothing keeps the others from ending.
    for (const end of ends.reverse()) await end().catch((error: unknown) => print(`while stopping: ${String(error)}`));
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
  print('stopped; no process and no temporary file is left');
}

async function run(options: QuickstartOptions, ends: (() => Promise<unknown>)[], signal: AbortSignal): Promise<void> {
  const { print, once } = options;
  print('1  starting a real MCP server (@modelcontextprotocol/server-everything) …');
  const server = await startDemoServer(signal);
  ends.push(() => server.stop());
  print(`   ${server.url}`);

  print('2  starting the gateway with the embedded database (the first start takes some seconds) …');
  const dataDir = process.env['DATA_DIR'] ?? (await temporaryDirectory(ends));
  // Of the environment only the port: a DATABASE_URL or AUTH_MODE that is meant for something else must not be touched.
  const port = process.env['PORT'] ?? '0';
  const gateway = await startService({ LOG_LEVEL: 'error', AUTH_MODE: 'none', PORT: port, DATA_DIR: dataDir });
  ends.push(() => gateway.stop('quickstart ends'));
  print(`   ${gateway.url}`);

  print('3  registering the server over REST …');
  const record = await register(gateway.url, server.url);
  print(`   "${record.name}" offers ${record.counts.tools} tools`);

  print('4  connecting the official client to the gateway, calling a tool twice …');
  await callTwice(gateway.url, print);
  print(`   pool: ${await poolNumbers(gateway.url)}`);
  if (once || signal.aborted) return;
  print(invitation(gateway.url));
  await new Promise<void>((resolve) => {
    // A pending listener keeps no process alive; the HTTP server does.
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function temporaryDirectory(ends: (() => Promise<unknown>)[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'mcp-gateway-'));
  ends.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

interface GatewayAnswer {
  readonly id: string;
  readonly name: string;
  readonly counts: { readonly tools: number };
}

/** Registers the server, or gives an earlier quickstart's record (a kept `DATA_DIR`) the new address. */
async function register(gatewayUrl: string, serverUrl: string): Promise<GatewayAnswer> {
  const known = await rest<{ items: GatewayAnswer[] }>(`${gatewayUrl}/gateways`);
  const earlier = known.items.find((item) => item.name === GATEWAY);
  if (earlier) return rest(`${gatewayUrl}/gateways/${earlier.id}`, 'PATCH', { url: serverUrl });
  return rest(`${gatewayUrl}/gateways`, 'POST', { name: GATEWAY, url: serverUrl });
}

async function rest<T>(url: string, method = 'GET', body?: unknown): Promise<T> {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await response.text();
  if (!response.ok) throw new StartupError(`${method} ${url}: HTTP ${response.status} ${answer}`);
  return JSON.parse(answer) as T;
}

async function callTwice(gatewayUrl: string, print: (line: string) => void): Promise<void> {
  const client = new Client({ name: 'quickstart', version: '1' });
  const transport = new StreamableHTTPClientTransport(new URL(`${gatewayUrl}/mcp`));
  await client.connect(transport);
  try {
    const { tools } = await client.listTools();
    print(`   tools: ${tools.map((tool) => tool.name).join(', ')}`);
    for (const message of ['hello', 'hello again']) {
      const answer = await client.callTool({ name: TOOL, arguments: { message } });
      print(`   ${TOOL}(${JSON.stringify(message)}) → ${JSON.stringify(answer.content)}`);
    }
    await transport.terminateSession();
  } finally {
    await client.close();
  }
}

async function poolNumbers(gatewayUrl: string): Promise<string> {
  const text = await (await fetch(`${gatewayUrl}/metrics`)).text();
  const read = (name: string): string =>
    new RegExp(`^mcpgateway_pool_${name}_total (\\d+)$`, 'm').exec(text)?.[1] ?? '?';
  return `misses ${read('misses')}, hits ${read('hits')} (the second call used the session of the first)`;
}

function invitation(url: string): string {
  return `
It is yours. Try:

  curl -s ${url}/rpc -H 'content-type: application/json' \\
    -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${TOOL}","arguments":{"message":"hi"}}}'

MCP clients connect to ${url}/mcp; REST is described at ${url}/docs. Ctrl-C stops everything.`;
}
