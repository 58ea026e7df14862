// One JSON-RPC message over HTTP, with the least that a client can spend: the generator shares the cores with what it
// measures, so it takes undici's raw callbacks and reads two headers.
import { Pool } from 'undici';

const TIMEOUT_MS = 30_000;
const BREAK = /\r?\n\r?\n/;

export class HttpClient {
  #pool;

  constructor(origin, connections = 512) {
    this.#pool = new Pool(origin, {
      connections,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /**
   * @param headers flat: name, value, name, value
   * @param id of the request; undefined for a message that has no answer
   * @returns `{ status, sessionId, message, text }`; `message` is the JSON-RPC answer, from a JSON body or an event
   */
  send(method, path, headers, body, id) {
    return new Promise((resolve, reject) => {
      const answer = new Answer(id, resolve, reject);
      this.#pool.dispatch({ path, method, headers, body }, answer);
    });
  }

  async close() {
    await this.#pool.destroy();
  }
}

class Answer {
  status = 0;
  sessionId;
  text = '';
  #events = false;
  #done = false;
  #timer;
  #abort;

  constructor(id, resolve, reject) {
    this.id = id;
    this.resolve = resolve;
    this.reject = reject;
    this.#timer = setTimeout(() => {
      this.#fail(new Error(`no answer in ${TIMEOUT_MS} ms`));
      this.#abort?.();
    }, TIMEOUT_MS);
  }

  onConnect(abort) {
    this.#abort = abort;
  }

  onHeaders(status, raw) {
    this.status = status;
    for (let i = 0; i < raw.length; i += 2) {
      const length = raw[i].length;
      if (length !== 12 && length !== 14) continue;
      const name = raw[i].toString('latin1').toLowerCase();
      if (name === 'content-type') this.#events = raw[i + 1].toString('latin1').startsWith('text/event-stream');
      else if (name === 'mcp-session-id') this.sessionId = raw[i + 1].toString('latin1');
    }
    return true;
  }

  onData(chunk) {
    this.text += chunk.toString('utf8');
    if (!this.#events || this.id === undefined) return true;
    for (let found = BREAK.exec(this.text); found && !this.#done; found = BREAK.exec(this.text)) {
      const message = eventMessage(this.text.slice(0, found.index));
      this.text = this.text.slice(found.index + found[0].length);
      if (message?.id === this.id && message.method === undefined) this.#finish(message);
    }
    return true;
  }

  onComplete() {
    if (this.#done) return;
    if (this.id === undefined) return this.#finish(undefined);
    if (this.#events) return this.#fail(new Error(`the stream ended without the answer (HTTP ${this.status})`));
    try {
      this.#finish(JSON.parse(this.text));
    } catch {
      this.#finish(undefined);
    }
  }

  onError(error) {
    this.#fail(error);
  }

  #finish(message) {
    if (this.#over()) this.resolve({ status: this.status, sessionId: this.sessionId, message, text: this.text });
  }

  #fail(error) {
    if (this.#over()) this.reject(error);
  }

  #over() {
    if (this.#done) return false;
    this.#done = true;
    clearTimeout(this.#timer);
    return true;
  }
}

function eventMessage(event) {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'));
  if (lines.length === 0) return undefined;
  try {
    return JSON.parse(lines.map((line) => line.slice(line[5] === ' ' ? 6 : 5)).join('\n'));
  } catch {
    return undefined;
  }
}
