import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { until } from './until.js';

type Headers = Readonly<Record<string, string>>;

/** One block of an event stream: an event, or a comment. */
export interface Block {
  readonly event?: string;
  readonly id?: string;
  readonly data?: string;
  readonly retry?: string;
  readonly comment?: string;
}

/** One HTTP exchange on a socket of its own, of which everything can be seen, with any `Host`, and which can be cut off. */
export class RawAnswer {
  /** The body as far as it has come. */
  text = '';
  /** How the body ended. */
  ended: 'complete' | 'cut off' | undefined;

  constructor(private readonly response: IncomingMessage) {
    response.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    response.on('close', () => (this.ended = response.complete ? 'complete' : 'cut off')).on('error', () => undefined);
  }

  get status(): number {
    return this.response.statusCode ?? 0;
  }

  get headers(): IncomingHttpHeaders {
    return this.response.headers;
  }

  /** The complete blocks that have come. */
  get blocks(): Block[] {
    return this.text.split('\n\n').slice(0, -1).map(blockOf);
  }

  /** JSON-RPC messages that have come, as events or as one JSON body. */
  get messages(): Message[] {
    if (!this.headers['content-type']?.startsWith('text/event-stream')) return this.text ? [parse(this.text)] : [];
    return this.blocks.flatMap(({ event, data }) => (data && event !== 'endpoint' ? [parse(data)] : []));
  }

  /** Waits for the first message that fits. */
  message(fits: (message: Message) => boolean, what: string): Promise<Message> {
    return until(() => this.messages.find(fits), { what });
  }

  block(fits: (block: Block) => boolean, what: string): Promise<Block> {
    return until(() => this.blocks.find(fits), { what });
  }

  /** Waits for the end of the body. */
  end(what = 'the answer ends'): Promise<'complete' | 'cut off'> {
    return until(() => this.ended, { what });
  }

  /** Reads no more, as a slow reader. */
  pause(): void {
    this.response.pause();
  }

  resume(): void {
    this.response.resume();
  }

  /** The client goes away. */
  cut(): void {
    this.response.destroy();
  }
}

export interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: Record<string, unknown> };
}

/** Sends a request; resolves when the head of the answer has come. */
export async function ask(method: string, url: string, headers: Headers = {}, body?: unknown): Promise<RawAnswer> {
  const req = request(url, { method, headers, agent: false });
  req.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  const [response] = (await once(req, 'response')) as [IncomingMessage];
  // Cut off on purpose: no failure of the test.
  req.on('error', () => undefined);
  return new RawAnswer(response);
}

/** Sends a request and reads the whole answer. */
export async function askAll(method: string, url: string, headers: Headers = {}, body?: unknown): Promise<RawAnswer> {
  const answer = await ask(method, url, headers, body);
  await answer.end(`${method} ${url} is answered`);
  return answer;
}

function blockOf(text: string): Block {
  const fields: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    const name = colon === 0 ? 'comment' : line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, '');
    fields[name] = fields[name] === undefined ? value : `${fields[name]}\n${value}`;
  }
  return fields;
}

function parse(text: string): Message {
  return JSON.parse(text) as Message;
}
