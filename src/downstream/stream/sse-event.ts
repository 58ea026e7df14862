/** Up to this size one copy is cheaper than several writes, and does not keep the buffer that it is a view of. */
const COPY_BELOW = 16 * 1024;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const END = Buffer.from('\n\n');

/** The bytes of one server-sent event, in parts that are not put together when they are large. */
export interface SseEvent {
  readonly parts: readonly Buffer[];
  readonly bytes: number;
}

/**
 * A JSON-RPC message as an event (WHATWG HTML, "Server-sent events").
 *
 * @param id undefined: the event has none
 * @param message bytes of the message, in parts
 */
export function messageEvent(id: string | undefined, message: readonly Buffer[]): SseEvent {
  const head = Buffer.from(id === undefined ? 'event: message\ndata: ' : `event: message\nid: ${id}\ndata: `);
  return eventOf([head, ...message.map(inData), END]);
}

/** An event without a message: it only tells the id (MCP 2025-11-25, Transports: the priming event). */
export function primingEvent(id: string): SseEvent {
  return eventOf([Buffer.from(`id: ${id}\ndata: \n\n`)]);
}

/** The first event of an HTTP+SSE stream (MCP 2024-11-05, Transports). */
export function endpointEvent(uri: string, id: string | undefined): SseEvent {
  return eventOf([Buffer.from(`event: endpoint\n${id === undefined ? '' : `id: ${id}\n`}data: ${uri}\n\n`)]);
}

/** An event that is no MCP message. */
export function namedEvent(name: string, data: unknown): SseEvent {
  return eventOf([Buffer.from(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)]);
}

/** Tells the client when to come back. */
export function retryEvent(ms: number): SseEvent {
  return eventOf([Buffer.from(`retry: ${ms}\n\n`)]);
}

export const KEEP_ALIVE: SseEvent = eventOf([Buffer.from(': keep-alive\n\n')]);

function eventOf(parts: readonly Buffer[]): SseEvent {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes > COPY_BELOW ? { parts, bytes } : { parts: [Buffer.concat(parts, bytes)], bytes };
}

/** A line break is white space in JSON and the end of a field in an event: each line becomes a `data` field. */
function inData(json: Buffer): Buffer {
  if (!json.includes(NEWLINE) && !json.includes(RETURN)) return json;
  return Buffer.from(json.toString('utf8').replace(/\r\n|\r|\n/g, '\ndata: '));
}
