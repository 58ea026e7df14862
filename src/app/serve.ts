import { type AddressInfo } from 'node:net';
import { StartupError } from '../common/startup-error.js';
import { loadSettings, maskSettings, type Settings, SettingsError } from '../config/settings.js';
import { createLog } from '../logging/logger.js';
import { createApp } from './create-app.js';
import { Shutdown } from './shutdown.js';

export interface RunningService {
  readonly url: string;
  readonly settings: Settings;
  stop(reason: string): Promise<void>;
}

/**
 * Starts the service and listens.
 *
 * @throws SettingsError, StartupError: for the person who starts it, without a stack
 */
export async function startService(env: Readonly<Record<string, string | undefined>>): Promise<RunningService> {
  const settings = loadSettings(env);
  const log = createLog(settings);
  log.info({ settings: maskSettings(settings) }, 'starting');
  if (settings.AUTH_MODE === 'none') {
    log.warn(
      { host: settings.HOST },
      'AUTH_MODE=none: everybody who reaches this address may use and change everything',
    );
  }
  const app = await createApp(settings, log);
  try {
    await app.listen(settings.PORT, settings.HOST);
  } catch (error) {
    await app.close();
    throw listenError(error, settings);
  }
  const { port } = app.getHttpServer().address() as AddressInfo;
  const url = `http://${settings.HOST.includes(':') ? `[${settings.HOST}]` : settings.HOST}:${port}`;
  log.info({ url }, 'listening');
  const shutdown = new Shutdown(app, settings, log);
  return { url, settings, stop: (reason) => shutdown.run(reason) };
}

/** Starts, and stops on SIGTERM and SIGINT; a second signal ends the process at once. Exit codes 0 and 1. */
export async function serve(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  const signals: NodeJS.Signals[] = [];
  let stop = (signal: NodeJS.Signals): void => void signals.push(signal);
  // Before the start: as the first process of a container we would never hear of a signal that comes during it.
  const onSignal = (signal: NodeJS.Signals): void => stop(signal);
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  try {
    const service = await startService(env);
    stop = (signal) => {
      stop = () => process.exit(1); // a second one: at once
      service.stop(signal).then(
        () => process.exit(0),
        () => process.exit(1),
      );
    };
    const [early] = signals;
    if (early) stop(early);
  } catch (error) {
    process.stderr.write(`${explainStartup(error)}\n`);
    process.exit(1);
  }
}

/** What the person who starts it should read: a line for what he can mend, the whole error for what he cannot. */
export function explainStartup(error: unknown): string {
  if (error instanceof StartupError || error instanceof SettingsError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function listenError(error: unknown, settings: Settings): unknown {
  const { code } = error as NodeJS.ErrnoException;
  const where = `${settings.HOST}:${settings.PORT}`;
  if (code === 'EADDRINUSE') return new StartupError(`${where} is in use by another process; choose another PORT`);
  if (code === 'EACCES') return new StartupError(`not allowed to listen on ${where}; choose a PORT above 1023`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new StartupError(`${settings.HOST} is not an address of this machine; see HOST`);
  }
  return error;
}
