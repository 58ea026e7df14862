import { type McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { type RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  type CallToolResult,
  type LoggingLevel,
  McpError,
  type Result,
  ResultSchema,
  type ServerNotification,
  type ServerRequest,
  type ToolAnnotations,
} from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod';
import { type World } from './mcp-world.js';

/** One run of a tool. */
export interface ToolCall {
  readonly world: World;
  readonly mcp: McpServer;
  /** State of the session, for tools that keep some. */
  readonly memory: { counter: number; level: LoggingLevel };
  readonly extra: RequestHandlerExtra<ServerRequest, ServerNotification>;
  /** Resolves when the session has its standing stream: the SDK drops what is sent there before. */
  listening(): Promise<void>;
}

export interface TestTool {
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodRawShape;
  readonly output?: z.ZodRawShape;
  readonly annotations: ToolAnnotations;
  run(args: unknown, call: ToolCall): Promise<CallToolResult>;
}

interface Definition<S extends z.ZodRawShape> extends Omit<TestTool, 'run' | 'input' | 'annotations'> {
  readonly input: S;
  readonly annotations?: ToolAnnotations;
  run(args: z.infer<z.ZodObject<S>>, call: ToolCall): Promise<CallToolResult>;
}

export function tool<S extends z.ZodRawShape>(definition: Definition<S>): TestTool {
  return {
    annotations: { readOnlyHint: true },
    ...definition,
    // McpServer has validated the arguments against `input` by then.
    run: (args, call) => definition.run(args as z.infer<z.ZodObject<S>>, call),
  };
}

export function textResult(text: string): CallToolResult {
  return { content: [{ type: 'text', text }] };
}

/** `call`: on the stream of the request. `stream`: on the standing stream (as `server.request()` does it). */
export const via = z.enum(['call', 'stream']).default('call');
type Via = z.infer<typeof via>;

/** Sends a notification to the client. */
export async function tell(call: ToolCall, how: Via, notification: ServerNotification): Promise<void> {
  if (how === 'call') return call.extra.sendNotification(notification);
  await call.listening();
  await call.mcp.server.notification(notification);
}

/** Asks the client and waits for its answer; an error that it answers with is a value here. */
export async function ask(call: ToolCall, how: Via, request: ServerRequest): Promise<Result> {
  const options = { signal: call.extra.signal, timeout: 10_000 };
  if (how === 'stream') await call.listening();
  const asking =
    how === 'call'
      ? call.extra.sendRequest(request, ResultSchema, options)
      : call.mcp.server.request(request, ResultSchema, options);
  return asking.catch(answeredError);
}

function answeredError(error: unknown): Result {
  if (error instanceof McpError) return { error: { code: error.code, message: error.message } };
  throw error;
}

/** The question in the words of the protocol; `message` is what a person would read. */
export function questionOf(kind: Question, message: string): ServerRequest {
  switch (kind) {
    case 'elicitation': {
      const requestedSchema = { type: 'object' as const, properties: { answer: { type: 'string' as const } } };
      return { method: 'elicitation/create', params: { mode: 'form', message, requestedSchema } };
    }
    case 'sampling': {
      const messages = [{ role: 'user' as const, content: { type: 'text' as const, text: message } }];
      return { method: 'sampling/createMessage', params: { messages, maxTokens: 16 } };
    }
    case 'roots':
      return { method: 'roots/list' };
    case 'ping':
      return { method: 'ping' };
  }
}

export const question = z.enum(['elicitation', 'sampling', 'roots', 'ping']);
export type Question = z.infer<typeof question>;

/** Only to those who asked for it with a token. */
export async function reportProgress(call: ToolCall, progress: number, total: number, message?: string): Promise<void> {
  const progressToken = call.extra._meta?.progressToken;
  if (progressToken === undefined) return;
  const params = { progressToken, progress, total, ...(message === undefined ? {} : { message }) };
  await call.extra.sendNotification({ method: 'notifications/progress', params });
  call.world.board.change((stats) => (stats.progress += 1));
}

/** Rejects when the call is cancelled. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
