import { LoggingLevelSchema } from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod';
import { ask, questionOf, reportProgress, tell, type TestTool, textResult, tool, via } from './mcp-tool-kit.js';

/** From `debug` to `emergency`. */
export const LOG_LEVELS = LoggingLevelSchema.options;

/** Tools for features that need more than one message. */
export const FEATURE_TOOLS: readonly TestTool[] = [
  tool({
    name: 'structured',
    description: 'Answers with structured content and a link to a resource',
    input: { city: z.string() },
    output: { city: z.string(), degrees: z.number() },
    run: async ({ city }) => ({
      structuredContent: { city, degrees: 21.5 },
      content: [
        { type: 'text', text: JSON.stringify({ city, degrees: 21.5 }) },
        { type: 'resource_link', uri: 'test://static/one', name: 'one', mimeType: 'text/plain' },
      ],
    }),
  }),
  tool({
    name: 'ask_url',
    description: 'Sends the client to a URL and tells it when it is done there; answers with what came back, as JSON',
    input: { message: z.string(), url: z.string(), elicitationId: z.string(), via },
    run: async ({ message, url, elicitationId, via }, call) => {
      const params = { mode: 'url' as const, message, url, elicitationId };
      const answer = await ask(call, via, { method: 'elicitation/create', params });
      await tell(call, via, { method: 'notifications/elicitation/complete', params: { elicitationId } });
      return textResult(JSON.stringify(answer));
    },
  }),
  tool({
    name: 'log_all',
    description: 'Logs once at every level that the session wants to see',
    input: { data: z.string(), via },
    run: async ({ data, via }, call) => {
      for (const level of LOG_LEVELS.slice(LOG_LEVELS.indexOf(call.memory.level))) {
        await tell(call, via, { method: 'notifications/message', params: { level, data } });
      }
      return textResult('logged');
    },
  }),
  tool({
    name: 'converse',
    description: 'Progress, a logging message, a question and progress again, all of which bear the marker',
    input: { kind: z.enum(['elicitation', 'sampling']), marker: z.string(), via },
    run: async ({ kind, marker, via }, call) => {
      await reportProgress(call, 1, 2, marker);
      await tell(call, via, { method: 'notifications/message', params: { level: 'info', data: marker } });
      const answer = await ask(call, via, questionOf(kind, marker));
      await reportProgress(call, 2, 2, marker);
      return textResult(JSON.stringify({ marker, answer }));
    },
  }),
];
