import { type UpstreamMessage, type UpstreamReply, type UpstreamSession } from '../../src/session-pool/index.js';

/** An upstream session whose server says just what the test says, when it says it; nothing travels. */
export class UpstreamDouble implements UpstreamSession {
  readonly transport = 'streamablehttp';
  readonly server: UpstreamSession['server'];
  lost: UpstreamSession['lost'];
  /** What was sent to the server: requests, notifications, answers to its questions; `<method> <params>` and `<id> <raw>`. */
  readonly sent: string[] = [];
  readonly answers: string[] = [];
  /** How the next requests are answered. */
  reply: () => Promise<UpstreamReply> = async () => ({ kind: 'result', raw: Buffer.from('{}') });
  private listener: (message: UpstreamMessage) => void = () => undefined;

  constructor(capabilities: Readonly<Record<string, unknown>> = {}) {
    this.server = { protocolVersion: '2025-11-25', capabilities, serverInfo: {} };
  }

  /** The server sends a notification, or with `id` a request; `origin` is the request of ours on whose stream it comes. */
  says(method: string, params?: string, more: { id?: string; origin?: number } = {}): void {
    this.listener({
      method,
      ...(params === undefined ? {} : { params: Buffer.from(params) }),
      ...(more.id === undefined ? {} : { id: Buffer.from(more.id) }),
      ...(more.origin === undefined ? {} : { origin: more.origin }),
    });
  }

  request(method: string, params: Buffer | undefined): Promise<UpstreamReply> {
    this.sent.push(`${method} ${params?.toString()}`);
    return this.reply();
  }

  async notify(method: string, params?: Buffer): Promise<void> {
    this.sent.push(`${method} ${params?.toString()}`);
  }

  async respond(id: Buffer, { raw }: UpstreamReply): Promise<void> {
    this.answers.push(`${id.toString()} ${raw.toString()}`);
  }

  onMessage(listener: (message: UpstreamMessage) => void): void {
    this.listener = listener;
  }

  async close(): Promise<'terminated'> {
    return 'terminated';
  }
}
