import * as z from 'zod';
import { FEATURE_TOOLS } from './mcp-feature-tools.js';
import {
  ask,
  pause,
  question,
  questionOf,
  reportProgress,
  tell,
  type TestTool,
  textResult,
  tool,
  via,
} from './mcp-tool-kit.js';

export const BASE_TOOLS: readonly TestTool[] = [
  ...FEATURE_TOOLS,
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
    run: async ({ ms, steps }, call) => {
      for (let step = 1; step <= steps; step += 1) {
        if (ms > 0) await pause(ms / steps, call.extra.signal);
        await reportProgress(call, step, steps);
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
    run: async ({ data, count, via }, call) => {
      for (let n = 0; n < count; n += 1) {
        await tell(call, via, { method: 'notifications/message', params: { level: 'info', data } });
      }
      return textResult('logged');
    },
  }),
  tool({
    name: 'ask',
    description: 'Asks the client during the call; answers with what came back, as JSON',
    input: { kind: question.default('elicitation'), message: z.string().default(''), via },
    run: async ({ kind, message, via }, call) =>
      textResult(JSON.stringify(await ask(call, via, questionOf(kind, message)))),
  }),
  tool({
    name: 'big',
    description: 'Answers with that many bytes',
    input: { bytes: z.number().int().nonnegative() },
    run: async ({ bytes }) => textResult('x'.repeat(bytes)),
  }),
  tool({
    name: 'gate',
    description: 'Waits until the test opens the gate; reports progress, of that many bytes, when it gets there',
    input: { text: z.string().default('through'), bytes: z.number().int().default(0) },
    annotations: { readOnlyHint: false },
    run: async ({ text, bytes }, call) => {
      await reportProgress(call, 0, 1, bytes > 0 ? 'x'.repeat(bytes) : undefined);
      await call.world.gate.pass(call.extra.signal);
      return textResult(text);
    },
  }),
];
