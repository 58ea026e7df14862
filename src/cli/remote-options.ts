import { type Command } from 'commander';
import { StartupError } from '../common/startup-error.js';
import { RestClient } from './rest-client.js';

/** Where a command finds the service, and who it is there. */
export interface RemoteOptions {
  readonly url?: string;
  readonly token?: string;
}

const DEFAULT_URL = 'http://127.0.0.1:4444';

export function remoteOptions(command: Command): Command {
  return command
    .option('--url <url>', `address of the gateway (default: MCP_GATEWAY_URL, else ${DEFAULT_URL})`)
    .option(
      '--token <token>',
      'for AUTH_MODE=jwt (default: MCP_GATEWAY_TOKEN, which other users of the machine cannot see)',
    );
}

/** @throws StartupError for what is no URL */
export function restClientOf({ url, token }: RemoteOptions, env: NodeJS.ProcessEnv): RestClient {
  const address = url ?? env['MCP_GATEWAY_URL'] ?? DEFAULT_URL;
  if (!/^https?:\/\//.test(address) || !URL.canParse(address)) {
    throw new StartupError(`--url ${address} is no URL; such as ${DEFAULT_URL}`);
  }
  const known = token ?? env['MCP_GATEWAY_TOKEN'];
  return new RestClient({ url: address, ...(known === undefined || known === '' ? {} : { token: known }) });
}
