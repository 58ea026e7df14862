import { describeConnectorContract } from './connector.contract.js';
import { SSE, STREAMABLE_HTTP, STREAMABLE_HTTP_JSON } from './subjects.js';

describeConnectorContract('SseConnector', SSE);
describeConnectorContract('StreamableHttpConnector, answers as event streams', STREAMABLE_HTTP);
describeConnectorContract('StreamableHttpConnector, answers as JSON', STREAMABLE_HTTP_JSON);
