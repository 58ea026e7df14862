import { writeFile } from 'node:fs/promises';
import { type Command } from 'commander';
import { StartupError } from '../common/startup-error.js';
import { type ExportableGateway, mcpServersOf } from './mcp-servers-export.js';
import { remoteOptions, restClientOf, type RemoteOptions } from './remote-options.js';
import { RestRefusal } from './rest-client.js';

/**
 * Adds `export`: the gateways of a running service as an `mcpServers` file, `${NAME}` where secrets belong (SPEC G-11).
 *
 * @param print gets the file, unless it is written
 * @param warn gets what the form cannot say, and where the secrets belong
 */
export function registerExportCommand(
  program: Command,
  env: NodeJS.ProcessEnv,
  print: (line: string) => void,
  warn: (line: string) => void,
): void {
  const command = program
    .command('export')
    .description('write the gateways of a running gateway as an mcpServers JSON file, without secrets')
    .argument('[file]', 'where to; without it to the standard output');
  remoteOptions(command).action(async (file: string | undefined, options: RemoteOptions) => {
    const gateways = await restClientOf(options, env).all<ExportableGateway>('/gateways').catch(forPeople);
    const { mcpServers, notes } = mcpServersOf(gateways);
    const text = JSON.stringify({ mcpServers }, undefined, 2);
    if (file === undefined) print(text);
    else await writeFile(file, `${text}\n`).catch(unwritable);
    for (const note of notes) warn(note);
  });
}

function forPeople(error: unknown): never {
  if (!(error instanceof RestRefusal)) throw error;
  throw new StartupError(`the gateway refuses: ${error.message} (see --token)`);
}

function unwritable(error: unknown): never {
  throw new StartupError(`the file cannot be written: ${(error as Error).message}`);
}
