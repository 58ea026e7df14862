import { readFile } from 'node:fs/promises';
import { type Command } from 'commander';
import { StartupError } from '../common/startup-error.js';
import { type FileEntry, type ImportedGateway, readMcpServers } from './mcp-servers-file.js';
import { remoteOptions, restClientOf, type RemoteOptions } from './remote-options.js';
import { type RestClient, RestRefusal } from './rest-client.js';

interface ImportOptions extends RemoteOptions {
  readonly update?: boolean;
  readonly deferred?: boolean;
}

type Known = ReadonlyMap<string, string>;
type Outcome = 'registered' | 'updated' | 'exists' | 'skipped' | 'failed';

interface Result {
  readonly outcome: Outcome;
  readonly text: string;
}

/**
 * Adds `import`: registers the servers of an `mcpServers` file with a running service (SPEC G-11), a line for each.
 * Ends with exit code 1 if an entry failed; what was skipped, or exists already, is no failure.
 */
export function registerImportCommand(program: Command, env: NodeJS.ProcessEnv, print: (line: string) => void): void {
  const command = program
    .command('import')
    .description('register the servers of an mcpServers JSON file with a running gateway')
    .argument('<file>', 'the file; ${NAME} and ${NAME:-default} in url and headers come from the environment')
    .option('--update', 'change gateways that exist already to what the file says')
    .option('--deferred', 'store servers that cannot be reached, too; they are tried again in the background');
  remoteOptions(command).action(async (file: string, options: ImportOptions) => {
    const entries = readMcpServers(await contentsOf(file), env);
    const failed = await importAll(entries, restClientOf(options, env), options, print);
    if (failed > 0) throw new StartupError(`${failed} of ${entries.length} entries failed`);
  });
}

async function contentsOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new StartupError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

/** @returns how many failed */
async function importAll(
  entries: readonly FileEntry[],
  rest: RestClient,
  options: ImportOptions,
  print: (line: string) => void,
): Promise<number> {
  const gateways = await rest.all<{ id: string; name: string }>('/gateways').catch(forPeople);
  const known = new Map(gateways.map(({ id, name }) => [name, id]));
  const counts = new Map<Outcome, number>();
  for (const entry of entries) {
    const { outcome, text } = await importOne(entry, rest, known, options);
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    print(`${outcome.padEnd(10)}  ${entry.name}${text === '' ? '' : `: ${text}`}`);
  }
  print([...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ') || 'the file has no entries');
  return counts.get('failed') ?? 0;
}

async function importOne(entry: FileEntry, rest: RestClient, known: Known, options: ImportOptions): Promise<Result> {
  switch (entry.kind) {
    case 'skipped':
      return { outcome: 'skipped', text: entry.why };
    case 'invalid':
      return { outcome: 'failed', text: entry.problems.join('; ') };
    case 'gateway':
      return send(entry.gateway, entry.ignored, rest, known, options);
  }
}

async function send(
  gateway: ImportedGateway,
  ignored: readonly string[],
  rest: RestClient,
  known: Known,
  { update, deferred }: ImportOptions,
): Promise<Result> {
  const id = known.get(gateway.name);
  if (id !== undefined && !update) {
    return { outcome: 'exists', text: 'a gateway with this name is there already; --update changes it' };
  }
  const note = ignored.length === 0 ? [] : [`ignored: ${ignored.join(', ')}`];
  try {
    const [method, path] =
      id === undefined ? ['POST', `/gateways${deferred ? '?deferred=true' : ''}`] : ['PATCH', `/gateways/${id}`];
    const { counts, reachable } = await rest.call<{ counts: { tools: number }; reachable: boolean }>(
      method,
      path,
      gateway,
    );
    const state = reachable ? `${counts.tools} tools` : 'not reached yet';
    return { outcome: id === undefined ? 'registered' : 'updated', text: [state, ...note].join('; ') };
  } catch (error) {
    if (!(error instanceof RestRefusal)) throw error;
    return { outcome: 'failed', text: error.message };
  }
}

/** Without access nothing can be imported at all. */
function forPeople(error: unknown): never {
  if (!(error instanceof RestRefusal)) throw error;
  throw new StartupError(`the gateway refuses: ${error.message} (see --token)`);
}
