#!/usr/bin/env node
import { Command } from 'commander';
import { explainStartup, serve } from '../app/serve.js';
import { VERSION } from '../common/version.js';
import { registerExportCommand } from './export.command.js';
import { registerImportCommand } from './import.command.js';
import { migrate } from './migrate.command.js';
import { quickstart } from './quickstart.command.js';
import { registerTokenCommand } from './token.command.js';

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const warn = (line: string): void => void process.stderr.write(`${line}\n`);

const program = new Command('mcp-gateway')
  .description('A gateway for the Model Context Protocol')
  .version(VERSION)
  .showHelpAfterError();

program
  .command('serve')
  .description('start the service; settings come from the environment (docs/settings.md)')
  .action(() => serve(process.env));

program
  .command('migrate')
  .description('bring the database schema up to date and end (the service does so at its start, too)')
  .action(() => migrate(process.env, print));

program
  .command('quickstart')
  .description('try everything at once: a real MCP server, the gateway, a client, two calls')
  .option('--once', 'end after the calls instead of staying up')
  .action((options: { once?: boolean }) => quickstart({ once: options.once === true, print }));

registerImportCommand(program, process.env, print);
registerExportCommand(program, process.env, print, warn);
registerTokenCommand(program, process.env, print);

try {
  await program.parseAsync();
} catch (error) {
  warn(explainStartup(error));
  process.exitCode = 1;
}
