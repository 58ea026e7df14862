import { type ServerResponse } from 'node:http';
import { Body, Controller, Headers, Param, Post, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { CurrentCaller, RequireScope } from '../auth/access.decorators.js';
import { CatalogueService } from '../catalogue/index.js';
import { CodedError, toCodedError } from '../common/errors.js';
import { clientSignal } from '../common/client-signal.js';
import { type Caller } from '../common/principal.js';
import { traceparentOf } from '../common/traceparent.js';
import { ExecutionService } from '../execution/index.js';
import { Metrics } from '../metrics/metrics.js';
import { Answers, Fails } from './openapi.js';
import { callParams, upstreamError } from './tool-call.js';
import { ToolResult } from './gateway.schemas.js';

const ROUTE = '/tools/:name/call';
const JSON_TYPE = /^application\/json\s*(;|$)/i;

/**
 * The REST twin of `tools/call` for people with curl (SPEC D-4): without a session, pooled by identity; who goes away
 * cancels (D-8). Its body is not parsed: create-app.ts hands it over as the bytes that came (D-7).
 */
@ApiTags('mcp')
@ApiBearerAuth()
@Controller()
@RequireScope('mcp:use')
export class ToolCallController {
  constructor(
    private readonly catalogue: CatalogueService,
    private readonly execution: ExecutionService,
    private readonly metrics: Metrics,
  ) {}

  @Post('tools/:name/call')
  @ApiOperation({ summary: 'Call a tool; the answer is its result as the server sent it (`isError` is in it)' })
  @ApiParam({ name: 'name', description: 'Public name of the tool' })
  @ApiBody({ description: 'The arguments', schema: { type: 'object', additionalProperties: true } })
  @Answers(200, 'What the tool answered', ToolResult)
  @Fails('PARSE_ERROR', 'INVALID_PARAMS', 'UNKNOWN_TOOL', 'TOOL_DISABLED', 'GATEWAY_DISABLED', 'PAYLOAD_TOO_LARGE')
  @Fails('UNSUPPORTED_MEDIA_TYPE', 'UPSTREAM_ERROR', 'UPSTREAM_UNAVAILABLE', 'UPSTREAM_TIMEOUT')
  @Fails('POOL_EXHAUSTED', 'CIRCUIT_OPEN')
  async call(
    @Param('name') name: string,
    @Body() body: unknown,
    @Headers() headers: Readonly<Record<string, string | undefined>>,
    @CurrentCaller() caller: Caller,
    @Res() res: ServerResponse,
  ): Promise<void> {
    let outcome = 'ok';
    try {
      const result = await this.run(name, argumentsOf(headers, body), {
        caller,
        view: this.catalogue.all,
        signal: clientSignal(res),
        ...traceOf(headers),
      });
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': result.length });
      res.end(result);
    } catch (error) {
      const { code } = toCodedError(error);
      outcome = code === 'UPSTREAM_ERROR' ? 'error' : code;
      throw error;
    } finally {
      this.metrics.mcpRequests.labels(ROUTE, 'tools/call', outcome).inc();
    }
  }

  private async run(
    name: string,
    args: Buffer | undefined,
    context: Parameters<ExecutionService['execute']>[2],
  ): Promise<Buffer> {
    const { kind, raw } = await this.execution.execute('tools/call', callParams(name, args), context);
    if (kind === 'error') throw upstreamError(raw);
    return raw;
  }
}

/** The bytes of the body; a page cannot send this type without asking first (CORS). */
function argumentsOf({ 'content-type': type = '' }: { readonly 'content-type'?: string }, body: unknown) {
  if (!JSON_TYPE.test(type)) throw new CodedError('UNSUPPORTED_MEDIA_TYPE', 'send Content-Type: application/json');
  return Buffer.isBuffer(body) ? body : undefined;
}

function traceOf({ traceparent }: { readonly traceparent?: string }): { traceparent?: string } {
  const trace = traceparentOf(traceparent);
  return trace === undefined ? {} : { traceparent: trace };
}
