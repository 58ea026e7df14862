import { type INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { VERSION } from '../common/version.js';

/** OpenAPI at `/openapi.json`, a page to read and try it at `/docs`. */
export function serveOpenApi(app: INestApplication): void {
  const config = new DocumentBuilder()
    .setTitle('mcp-session-gateway')
    .setDescription(
      'REST of the gateway: MCP servers and what they offer, virtual servers, operation. MCP itself is spoken at ' +
        '`/mcp`, `/gateways/:id/mcp` and `/servers/:id/mcp` (streamable HTTP), `/sse` (HTTP+SSE) and `/rpc` (one ' +
        'JSON-RPC request without a session).',
    )
    .setVersion(VERSION)
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addBearerAuth()
    .build();
  const document = SwaggerModule.createDocument(app, config);
  SwaggerModule.setup('docs', app, document, { jsonDocumentUrl: '/openapi.json', yamlDocumentUrl: '/openapi.yaml' });
}
