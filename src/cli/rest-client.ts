import { StartupError } from '../common/startup-error.js';

/** Longer than the service takes to read a server that is slow (CALL_TIMEOUT_SECONDS is 300 by default). */
const TIMEOUT_MS = 330_000;

export interface RestOptions {
  /** Address of the service, without a path of its own at the end. */
  readonly url: string;
  readonly token?: string;
}

/** What the service refused, in its own words. */
export class RestRefusal extends Error {
  override readonly name = 'RestRefusal';

  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(`HTTP ${status} ${code}: ${detail}`);
  }
}

/** REST of a running service, for commands. */
export class RestClient {
  private readonly base: string;

  constructor(private readonly options: RestOptions) {
    this.base = options.url.replace(/\/+$/, '');
  }

  /** @throws RestRefusal; StartupError when it cannot be reached */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const { token } = this.options;
    const { ok, status, text } = await this.send(path, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!ok) throw refusalOf(status, text);
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new StartupError(`${this.base} answered ${path} with something that is no JSON: is it the gateway?`);
    }
  }

  /** Every item of a list, page after page. */
  async all<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | undefined;
    do {
      const more: string = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await this.call<{ items: T[]; nextCursor?: string }>('GET', `${path}?limit=500${more}`);
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return items;
  }

  private async send(path: string, init: RequestInit): Promise<{ ok: boolean; status: number; text: string }> {
    try {
      const response = await fetch(this.base + path, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
      return { ok: response.ok, status: response.status, text: await response.text() };
    } catch (error) {
      const { name, cause } = error as { name?: string; cause?: { code?: string; message?: string } };
      const why = name === 'TimeoutError' ? `no answer in ${TIMEOUT_MS / 1000} s` : (cause?.code ?? cause?.message);
      throw new StartupError(`the gateway at ${this.base} cannot be reached (${why ?? String(error)}); see --url`);
    }
  }
}

function refusalOf(status: number, text: string): RestRefusal {
  try {
    const { code, detail } = JSON.parse(text) as { code?: unknown; detail?: unknown };
    return new RestRefusal(status, String(code), String(detail));
  } catch {
    return new RestRefusal(status, 'UNKNOWN', text.slice(0, 200));
  }
}
