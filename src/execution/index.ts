/** What other rooms may use of execution. */
export { ClientSession } from './client-session.js';
export { type ClientSink, type SessionSink } from './client-sink.js';
export { ExecutionModule } from './execution.module.js';
export { type ExecutionContext, type Reply } from './execution-context.js';
export { ExecutionService } from './execution.service.js';
