import { type ServerResponse } from 'node:http';
import { McpServer, type RegisteredTool } from '@modelcontextprotocol/sdk/server/mcp.js';
import { type CallToolResult, type LoggingLevel, SetLevelRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { addPrompts, addResources, addSubscriptions } from './mcp-content.js';
import { setListHandlers } from './mcp-lists.js';
import { type TestTool, textResult, type ToolCall } from './mcp-tool-kit.js';
import { BASE_TOOLS } from './mcp-tools.js';
import { type World } from './mcp-world.js';
import { until } from './until.js';

/** The product side of one session: an SDK `McpServer` with the test's tools, resources and prompts. */
export class ProductSession {
  readonly mcp: McpServer;
  readonly subscribed = new Set<string>();
  /** The last GET of the session. */
  stream: ServerResponse | undefined;
  private readonly memory: { counter: number; level: LoggingLevel } = { counter: 0, level: 'debug' };
  private readonly extras = new Map<string, RegisteredTool>();

  constructor(private readonly world: World) {
    const { name = 'test-server', instructions } = world.options;
    const capabilities = {
      logging: {},
      ...(world.offers('tools') ? { tools: { listChanged: true } } : {}),
      ...(world.offers('resources') ? { resources: { listChanged: true, subscribe: true } } : {}),
      ...(world.offers('prompts') ? { prompts: { listChanged: true } } : {}),
    };
    this.mcp = new McpServer({ name, version: '1.2.3' }, { capabilities, ...(instructions ? { instructions } : {}) });
    this.offer();
  }

  /** Has a standing stream; with its headers out, the SDK has it in its books. */
  get listening(): boolean {
    return this.stream?.headersSent === true && !this.stream.destroyed;
  }

  addExtra(name: string): void {
    const run = (): CallToolResult => {
      this.world.board.change((stats) => (stats.executions += 1));
      return textResult(`${name} ran`);
    };
    this.extras.set(name, this.mcp.registerTool(name, { description: `Generated tool ${name}` }, run));
  }

  removeExtra(name: string): void {
    this.extras.get(name)?.remove();
    this.extras.delete(name);
  }

  private offer(): void {
    const { world, mcp } = this;
    if (world.offers('tools')) {
      if (world.options.baseTools !== false) for (const tool of BASE_TOOLS) this.add(tool);
      for (const name of world.extraTools) this.addExtra(name);
    }
    if (world.offers('resources')) {
      addResources(mcp);
      addSubscriptions(mcp, this.subscribed);
    }
    if (world.offers('prompts')) addPrompts(mcp);
    setListHandlers(mcp.server, world);
    mcp.server.setRequestHandler(SetLevelRequestSchema, ({ params }) => {
      this.memory.level = params.level;
      return {};
    });
  }

  private add(tool: TestTool): void {
    const { world, mcp, memory } = this;
    const { description, annotations, input, output } = tool;
    const schemas = { inputSchema: input, ...(output ? { outputSchema: output } : {}) };
    const listening = async (): Promise<void> =>
      void (await until(() => this.listening, { what: 'a standing stream' }));
    mcp.registerTool(tool.name, { description, annotations, ...schemas }, (args: unknown, extra: ToolCall['extra']) =>
      this.run(tool, args, { world, mcp, memory, extra, listening }),
    );
  }

  private async run(tool: TestTool, args: unknown, call: ToolCall): Promise<CallToolResult> {
    const { board } = this.world;
    const { signal } = call.extra;
    board.change((stats) => (stats.executions += 1));
    const cancelled = (): void => board.change((stats) => (stats.cancelled += 1));
    signal.addEventListener('abort', cancelled, { once: true });
    try {
      return await tool.run(args, call);
    } finally {
      signal.removeEventListener('abort', cancelled);
    }
  }
}
