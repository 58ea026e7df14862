// A way to PostgreSQL that counts what is executed on it, by reading the messages of the client (PostgreSQL, "Message Formats").
import { once } from 'node:events';
import net from 'node:net';

const QUERY = 0x51; // 'Q', a simple query
const EXECUTE = 0x45; // 'E', of a prepared one
const HEAD = 5;

/** @param url of the server; without TLS, or there would be nothing to read */
export async function countQueries(url) {
  const target = new URL(url);
  const sockets = new Set();
  let count = 0;
  let lastAt = performance.now();
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(target.port || 5432), target.hostname.replace(/^\[|\]$/g, ''));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ]) {
      sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => sockets.delete(one) && other.destroy());
      one.pipe(other);
    }
    client.on(
      'data',
      messages((type) => {
        if (type !== QUERY && type !== EXECUTE) return;
        count += 1;
        lastAt = performance.now();
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String(server.address().port);
  return {
    url: through.toString(),
    get count() {
      return count;
    },
    /** Milliseconds since the last one. */
    get quietMs() {
      return performance.now() - lastAt;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Calls `seen` with the type of each message, however the bytes are cut. The first message has no type. */
function messages(seen) {
  let rest = Buffer.alloc(0);
  let started = false;
  let skip = 0;
  return (chunk) => {
    const bytes = skip >= chunk.length ? undefined : Buffer.concat([rest, chunk.subarray(skip)]);
    skip = Math.max(0, skip - chunk.length);
    if (!bytes) return;
    let at = 0;
    while (bytes.length - at >= HEAD) {
      const end = at + (started ? 1 + bytes.readUInt32BE(at + 1) : bytes.readUInt32BE(at));
      if (started) seen(bytes[at]);
      started = true;
      at = end;
    }
    rest = bytes.subarray(Math.min(at, bytes.length));
    skip += Math.max(0, at - bytes.length);
  };
}
