import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  type CallToolResult,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { until } from '../support/until.js';
import { type Target } from './targets.support.js';

const CAPABILITIES = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };

interface Notification {
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** The SDK's client as an application with every feature would use it; it remembers what it heard and was asked. */
export class FeatureClient {
  readonly sdk = new Client({ name: 'feature-client', version: '1' }, { capabilities: CAPABILITIES });
  readonly heard: Notification[] = [];
  /** Every notification and request on the wire to it, before the SDK has looked at it. */
  readonly messages: Notification[] = [];
  /** Questions of the server: their `params`. */
  readonly asked: { readonly [name: string]: unknown }[] = [];
  /** What it says when it is asked for its roots. */
  roots = [{ uri: 'file:///home/ann', name: 'ann' }];
  /** Answers to POSTs that are still open, and whether the GET has been answered. */
  openPosts = 0;
  private listening = false;

  private constructor(readonly target: Target) {
    this.sdk.fallbackNotificationHandler = async (notification) => void this.heard.push(notification);
    this.sdk.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
      this.asked.push(params);
      return { model: 'test-model', role: 'assistant', content: { type: 'text', text: 'sampled' } };
    });
    this.sdk.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      this.asked.push(params);
      return params.mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { answer: 'elicited' } };
    });
    this.sdk.setRequestHandler(ListRootsRequestSchema, () => ({ roots: this.roots }));
  }

  static async connect(target: Target): Promise<FeatureClient> {
    const client = new FeatureClient(target);
    const url = new URL(target.url);
    if (target.downstream === 'sse') await client.sdk.connect(new SSEClientTransport(url));
    else {
      const fetch = client.watchedFetch.bind(client);
      await client.sdk.connect(new StreamableHTTPClientTransport(url, { fetch }));
      // What is sent before the client listens may be lost, and that would be nobody's fault.
      await until(() => client.listening, { what: 'an answer to GET' });
    }
    client.record();
    return client;
  }

  /** Calls a tool by the server's name. */
  async call(name: string, args: object = {}): Promise<CallToolResult> {
    const params = { name: this.target.named(name), arguments: { ...args } };
    return (await this.sdk.callTool(params)) as CallToolResult;
  }

  /** The text of the result as JSON: what the server got as the answer to its question. */
  async ask(name: string, args: object): Promise<unknown> {
    const { content } = await this.call(name, args);
    return JSON.parse((content[0] as { text: string }).text) as unknown;
  }

  /** Waits for that many notifications of this method. @returns their `params` */
  async notified(method: string, count = 1): Promise<(Notification['params'] | undefined)[]> {
    const found = (): Notification[] => this.heard.filter((heard) => heard.method === method);
    await until(() => found().length >= count, { what: `${count} × ${method}` });
    return found().map(({ params }) => params);
  }

  async close(): Promise<void> {
    const { transport } = this.sdk;
    if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession();
    await this.sdk.close();
  }

  private record(): void {
    const { transport } = this.sdk;
    const handle = transport?.onmessage;
    if (!transport || !handle) throw new Error('not connected');
    transport.onmessage = (message, extra) => {
      if ('method' in message) this.messages.push(message);
      handle(message, extra);
    };
  }

  private async watchedFetch(url: string | URL, init?: RequestInit): Promise<Response> {
    const response = await fetch(url, init);
    if (init?.method === 'GET') this.listening = true;
    // The SDK gives up the body of what was only taken (202) unread.
    if (init?.method !== 'POST' || !response.body || response.status === 202) return response;
    this.openPosts += 1;
    const ended = new TransformStream<Uint8Array, Uint8Array>({ flush: () => void (this.openPosts -= 1) });
    return new Response(response.body.pipeThrough(ended), response);
  }
}
