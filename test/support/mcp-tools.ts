import { type McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { type RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  type CallToolResult,
  McpError,
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
  readonly memory: { counter: number };
  readonly extra: RequestHandlerExtra<ServerRequest, ServerNotification>;
}

export interface TestTool {
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodRawShape;
  readonly annotations: ToolAnnotations;
  run(args: unknown, call: ToolCall): Promise<CallToolResult>;
}

interface Definition<S extends z.ZodRawShape> extends Omit<TestTool, 'run' | 'input' | 'annotations'> {
  readonly input: S;
  readonly annotations?: ToolAnnotations;
  run(args: z.infer<z.ZodObject<S>>, call: ToolCall): Promise<CallToolResult>;
}

function tool<S extends z.ZodRawShape>(definition: Definition<S>): TestTool {
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
const via = z.enum(['call', 'stream']).default('call');

export const BASE_TOOLS: readonly TestTool[] = [
  tool({
    name: 'echo',
    description: 'Answers with its text',
    input: { text: z.string() },
    run: async ({ text }) => textResult(text),
  }),
  tool({
    name: 'add',
    description: 'Adds two numbers',
    input: { a: z.number(), b: z.number() },
    run: async ({ a, b }) => textResult(String(a + b)),
  }),
  tool({
    name: 'whoami',
    description: 'Session id, Authorization and all other headers of this request, as JSON',
    input: {},
    run: async (_args, { extra }) => {
      const headers = extra.requestInfo?.headers ?? {};
      return textResult(
        JSON.stringify({ sessionId: extra.sessionId, authorization: headers['authorization'], headers }),
      );
    },
  }),
  tool({
    name: 'counter',
    description: 'Counts its calls in this session',
    input: { callId: z.string().optional() },
    annotations: { readOnlyHint: false },
    run: async ({ callId }, { memory, world }) => {
      if (callId !== undefined) world.executed(callId);
      memory.counter += 1;
      return textResult(String(memory.counter));
    },
  }),
  tool({
    name: 'slow',
    description: 'Takes some milliseconds, reports progress in steps',
    input: { ms: z.number(), steps: z.number().int().positive().default(2) },
    run: async ({ ms, steps }, { extra }) => {
      for (let step = 1; step <= steps; step += 1) {
        await pause(ms / steps, extra.signal);
        await reportProgress(extra, step, steps);
      }
      return textResult(`took ${ms} ms`);
    },
  }),
  tool({
    name: 'fail',
    description: 'Fails as tools do: a result with isError',
    input: { message: z.string().default('this tool always fails') },
    run: async ({ message }) => ({ ...textResult(message), isError: true }),
  }),
  tool({
    name: 'notify_log',
    description: 'Sends logging messages during the call',
    input: { data: z.string(), count: z.number().int().default(1), via },
    run: async ({ data, count, via }, { extra, mcp }) => {
      const message = { method: 'notifications/message' as const, params: { level: 'info' as const, data } };
      for (let n = 0; n < count; n += 1) {
        await (via === 'call' ? extra.sendNotification(message) : mcp.server.notification(message));
      }
      return textResult('logged');
    },
  }),
  tool({
    name: 'ask',
    description: 'Asks the client during the call; answers with what came back, as JSON',
    input: { kind: z.enum(['elicitation', 'sampling']).default('elicitation'), message: z.string(), via },
    run: async ({ kind, message, via }, { extra, mcp }) => {
      const request = questionOf(kind, message);
      const options = { signal: extra.signal, timeout: 10_000 };
      const asking =
        via === 'call'
          ? extra.sendRequest(request, ResultSchema, options)
          : mcp.server.request(request, ResultSchema, options);
      return textResult(JSON.stringify(await asking.catch(answeredError)));
    },
  }),
  tool({
    name: 'big',
    description: 'Answers with that many bytes',
    input: { bytes: z.number().int().nonnegative() },
    run: async ({ bytes }) => textResult('x'.repeat(bytes)),
  }),
  tool({
    name: 'gate',
    description: 'Waits until the test opens the gate; reports progress when it gets there',
    input: { text: z.string().default('through') },
    annotations: { readOnlyHint: false },
    run: async ({ text }, { world, extra }) => {
      await reportProgress(extra, 0, 1);
      await world.gate.pass(extra.signal);
      return textResult(text);
    },
  }),
];

function questionOf(kind: 'elicitation' | 'sampling', message: string): ServerRequest {
  if (kind === 'elicitation') {
    const requestedSchema = { type: 'object' as const, properties: { answer: { type: 'string' as const } } };
    return { method: 'elicitation/create', params: { mode: 'form', message, requestedSchema } };
  }
  const messages = [{ role: 'user' as const, content: { type: 'text' as const, text: message } }];
  return { method: 'sampling/createMessage', params: { messages, maxTokens: 16 } };
}

function answeredError(error: unknown): { error: { code: number; message: string } } {
  if (error instanceof McpError) return { error: { code: error.code, message: error.message } };
  throw error;
}

async function reportProgress(extra: ToolCall['extra'], progress: number, total: number): Promise<void> {
  const progressToken = extra._meta?.progressToken;
  if (progressToken === undefined) return;
  await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total } });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
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
