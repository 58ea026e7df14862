import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { type McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SubscribeRequestSchema, UnsubscribeRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod';

export const RESOURCES = [
  { uri: 'test://static/one', name: 'one', description: 'A text', mimeType: 'text/plain' },
  { uri: 'test://static/two', name: 'two', description: 'Another text', mimeType: 'text/plain' },
] as const;

export const TEMPLATES = [
  { uriTemplate: 'test://item/{id}', name: 'item', description: 'Any item', mimeType: 'application/json' },
] as const;

export const PROMPTS = [
  { name: 'hello', description: 'Without arguments' },
  { name: 'greet', description: 'With one', arguments: [{ name: 'name', description: 'Whom', required: true }] },
] as const;

/** What `completion/complete` knows: the argument of prompt `greet`, and the variable of template `item`. */
export const COMPLETIONS = { name: ['Ada', 'Alan', 'Grace'], id: ['1', '10', '2'] } as const;

function complete(known: readonly string[]): (value: string | undefined) => string[] {
  return (value = '') => known.filter((entry) => entry.startsWith(value));
}

export function addResources(mcp: McpServer): void {
  for (const { uri, name, description, mimeType } of RESOURCES) {
    mcp.registerResource(name, uri, { description, mimeType }, async () => ({
      contents: [{ uri, mimeType, text: `text of ${name}` }],
    }));
  }
  const [item] = TEMPLATES;
  mcp.registerResource(
    item.name,
    new ResourceTemplate(item.uriTemplate, { list: undefined, complete: { id: complete(COMPLETIONS.id) } }),
    { description: item.description, mimeType: item.mimeType },
    async (uri, { id }) => ({
      contents: [{ uri: uri.href, mimeType: item.mimeType, text: JSON.stringify({ id }) }],
    }),
  );
}

/** `subscribed` holds the URIs of this session. */
export function addSubscriptions(mcp: McpServer, subscribed: Set<string>): void {
  mcp.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    subscribed.add(params.uri);
    return {};
  });
  mcp.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    subscribed.delete(params.uri);
    return {};
  });
}

export function addPrompts(mcp: McpServer): void {
  const [hello, greet] = PROMPTS;
  mcp.registerPrompt(hello.name, { description: hello.description }, async () => message('Hello!'));
  mcp.registerPrompt(
    greet.name,
    { description: greet.description, argsSchema: { name: completable(z.string(), complete(COMPLETIONS.name)) } },
    async ({ name }) => message(`Hello, ${name}!`),
  );
}

function message(text: string): { messages: { role: 'user'; content: { type: 'text'; text: string } }[] } {
  return { messages: [{ role: 'user', content: { type: 'text', text } }] };
}
