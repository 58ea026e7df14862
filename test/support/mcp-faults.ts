import { type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type Incoming } from './mcp-incoming.js';
import { type World } from './mcp-world.js';

/** Plays the faults that come before any MCP is spoken. @returns whether the request has been dealt with */
export async function intercept(
  world: World,
  incoming: Incoming,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<boolean> {
  const { faults, board } = world;
  if (faults.answer !== undefined) return refuse(res, faults.answer);
  if (faults.authorization !== undefined && req.headers.authorization !== faults.authorization) return refuse(res, 401);
  if (faults.stall === 'all' || (faults.stall !== undefined && faults.stall === incoming.rpcMethod)) {
    board.change((stats) => (stats.stalled += 1));
    return true;
  }
  if (incoming.rpcMethod === 'initialize' && faults.initializeDelayMs !== undefined) {
    await delay(faults.initializeDelayMs, undefined, { ref: false });
  }
  if (incoming.rpcMethod !== undefined) {
    const { params } = incoming.message as { params?: Record<string, unknown> };
    await faults.before?.(incoming.rpcMethod, params ?? {});
  }
  return res.destroyed;
}

function refuse(res: ServerResponse, answer: number | 'html'): true {
  if (answer === 'html') {
    res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    res.end('<!doctype html><title>Welcome</title><p>This is a web page.');
  } else if (answer === 401) {
    res.writeHead(401, { 'content-type': 'text/plain', 'www-authenticate': 'Bearer realm="test"' });
    res.end('authorization required');
  } else {
    res.writeHead(answer, { 'content-type': 'text/plain' });
    res.end(`answer ${answer}`);
  }
  return true;
}

/** What servers say about a session that they do not know. */
export function refuseSession(world: World, res: ServerResponse, named: boolean): void {
  if (named) world.board.change((stats) => (stats.badSession += 1));
  const status = named ? (world.faults.unknownSession ?? 404) : 400;
  const error =
    status === 404
      ? { code: -32001, message: 'Session not found' }
      : { code: -32000, message: 'Bad Request: No valid session ID provided' };
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
}

export function refuseMethod(res: ServerResponse, allow: string): void {
  const error = { code: -32000, message: 'Method not allowed.' };
  res.writeHead(405, { allow, 'content-type': 'application/json' });
  res.end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
}
