// What is measured: an endpoint that takes tools/call, and what a right answer to it is.
import { HttpClient } from './http-client.mjs';

const PROTOCOL = '2025-11-25';
/** Length of the text that a call sends and must get back. */
const TEXT_LENGTH = 16;
const PADDING = 'abcdefghijklmnopqrstuvwxyz';
const OPEN_AT_ONCE = 8;

let texts = 0;

export class Target {
  #client;
  #path;
  #headers;
  #head;
  #sessions = [];
  #ids = 0;

  /**
   * @param url of the endpoint
   * @param kind `mcp`: calls belong to sessions; `rpc`: they stand alone
   * @param pid of the process whose CPU and memory count
   */
  constructor({ name, url, kind, tool, pid, headers = {}, sessions = 16 }) {
    Object.assign(this, { name, kind, pid });
    this.sessionCount = kind === 'mcp' ? sessions : 0;
    const { origin, pathname } = new URL(url);
    this.#client = new HttpClient(origin);
    this.#path = pathname;
    const all = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers };
    this.#headers = Object.entries(all).flat();
    this.#head = `,"method":"tools/call","params":{"name":${JSON.stringify(tool)},"arguments":{"text":"`;
  }

  /** Opens the sessions, once. */
  async open() {
    while (this.#sessions.length < this.sessionCount) {
      const count = Math.min(OPEN_AT_ONCE, this.sessionCount - this.#sessions.length);
      this.#sessions.push(...(await Promise.all(Array.from({ length: count }, () => this.#openSession()))));
    }
  }

  /** One call on the worker's session. @returns 'ok', 'wrong', or what failed, in words */
  async call(worker) {
    const text = uniqueText();
    const id = (this.#ids += 1);
    const headers = this.kind === 'mcp' ? this.#sessions[worker % this.#sessions.length] : this.#headers;
    const body = `{"jsonrpc":"2.0","id":${id}${this.#head}${text}"}}}`;
    const answer = await this.#client.send('POST', this.#path, headers, body, id);
    const { status, message } = answer;
    if (status !== 200 || !message) return `HTTP ${status} ${answer.text.slice(0, 160)}`;
    if (message.error) return `JSON-RPC ${JSON.stringify(message.error).slice(0, 160)}`;
    if (message.result?.isError) return `tool error ${JSON.stringify(message.result).slice(0, 160)}`;
    return message.id === id && message.result?.content?.[0]?.text === text ? 'ok' : 'wrong';
  }

  async close() {
    const ends = this.#sessions.splice(0).map((headers) => this.#client.send('DELETE', this.#path, headers, null));
    await Promise.allSettled(ends);
    await this.#client.close();
  }

  async #openSession() {
    const id = (this.#ids += 1);
    const params = { protocolVersion: PROTOCOL, capabilities: {}, clientInfo: { name: 'bench', version: '1' } };
    const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'initialize', params });
    const { status, sessionId, message, text } = await this.#client.send('POST', this.#path, this.#headers, body, id);
    if (!message?.result) throw new Error(`${this.name}: initialize failed: HTTP ${status} ${text.slice(0, 300)}`);
    const headers = [...this.#headers, 'mcp-protocol-version', message.result.protocolVersion];
    if (sessionId !== undefined) headers.push('mcp-session-id', sessionId);
    const note = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
    const { status: noted } = await this.#client.send('POST', this.#path, headers, note);
    if (noted !== 202) throw new Error(`${this.name}: notifications/initialized: HTTP ${noted}`);
    return headers;
  }
}

/** Differs from call to call, so that an answer to another call is found out. */
function uniqueText() {
  texts += 1;
  return `${texts.toString(36)}-${PADDING}`.slice(0, TEXT_LENGTH);
}
