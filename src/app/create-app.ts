import 'reflect-metadata';
import { type IncomingMessage, type Server } from 'node:http';
import { NestFactory } from '@nestjs/core';
import { type NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';
import { type Settings } from '../config/settings.js';
import { EdgeService } from '../downstream/edge/edge.service.js';
import { createLog, type Log, NestLog } from '../logging/logger.js';
import { AppModule } from './app.module.js';
import { serveOpenApi } from './openapi.js';

/** Longer than what balancers in front keep idle connections, so that it is never we who close one in use. */
const KEEP_ALIVE_MS = 75_000;

/** As Express takes paths: in any case, with a slash at the end or without. */
const MESSAGES = /^\/messages\/?(\?|$)/i;
const TOOL_CALL = /^\/tools\/[^/?]+\/call\/?(\?|$)/i;

/** Arguments of tools stay the bytes that came (SPEC D-7), and MCP messages are read by their own room. */
function isRest({ url = '', headers }: IncomingMessage): boolean {
  return !MESSAGES.test(url) && !TOOL_CALL.test(url) && isJson(headers['content-type']);
}

function isToolCall({ url = '', headers }: IncomingMessage): boolean {
  return TOOL_CALL.test(url) && isJson(headers['content-type']);
}

function isJson(type = ''): boolean {
  return /^application\/([\w.-]+\+)?json\b/i.test(type);
}

/**
 * The service, initialized and not yet listening.
 *
 * @throws StartupError if the database cannot be opened
 */
export async function createApp(
  settings: Settings,
  log: Log = createLog(settings),
): Promise<NestExpressApplication<Server>> {
  const app = await NestFactory.create<NestExpressApplication<Server>>(AppModule.forRoot(settings, log), {
    logger: new NestLog(log),
    abortOnError: false,
    bodyParser: false,
    forceCloseConnections: true, // after the drain: what is open then are idle and endless connections
  });
  app.use(
    helmet({
      contentSecurityPolicy: { directives: { 'upgrade-insecure-requests': null } },
      strictTransportSecurity: false, // TLS ends in front of us, and so does this header
    }),
  );
  app.useBodyParser('json', { limit: settings.MAX_BODY_BYTES, type: isRest });
  app.useBodyParser('raw', { limit: settings.MAX_BODY_BYTES, type: isToolCall });
  serveOpenApi(app);
  await app.init();
  const server = app.getHttpServer();
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.headersTimeout = KEEP_ALIVE_MS + 1_000;
  app.get(EdgeService).attach(server);
  return app;
}
