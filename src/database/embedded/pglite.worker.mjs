/**
 * The worker thread that runs PGlite. Plain checked JavaScript, because a Worker loads its file raw: from `src` under
 * Jest and from `dist` in service.
 *
 * PGlite has ONE session. Messages are handled strictly in order of arrival, and between two connections the session
 * is reset, so that an open transaction, a setting or a prepared statement never leaks into the next connection.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';

/** @import { FromWorker, ToWorker, WorkerStart } from './worker-messages.js' */

const CHUNK_BYTES = 64 * 1024;
const SYNC = new Uint8Array([0x53, 0, 0, 0, 4]);

/** @type {WorkerStart} */
const { clusterDir } = workerData;
/** @type {string[]} what the engine printed last */
const printed = [];
/** The connection that the session belongs to; 0 is none. */
let connection = 0;
/** The newest connection ever seen: what comes late from an older one is dropped. */
let newest = 0;
/** @type {PGlite | undefined} */
let db;

/** @type {Promise<void>} */
let queue = start().catch(fail);
parentPort?.on('message', (/** @type {ToWorker} */ message) => {
  queue = queue.then(() => handle(message)).catch(fail);
});

async function start() {
  db = await PGlite.create({ dataDir: clusterDir, onStderr: remember });
  post({ type: 'ready' });
}

/** @param {ToWorker} message */
async function handle(message) {
  if (db === undefined) return;
  switch (message.type) {
    case 'bytes':
      if (message.connection < newest) return;
      newest = message.connection;
      if (connection !== 0 && connection !== newest) await reset(db);
      connection = newest;
      return execute(db, message.bytes);
    case 'end':
      if (message.connection !== connection) return;
      connection = 0;
      return reset(db);
    case 'close': {
      const closing = db;
      db = undefined;
      await closing.close();
      post({ type: 'closed' });
    }
  }
}

/**
 * @param {PGlite} database
 * @param {Uint8Array} bytes whole messages, the last of which asks for an answer
 */
async function execute(database, bytes) {
  /** @type {Uint8Array[]} */
  let parts = [];
  let size = 0;
  const flush = () => {
    if (size === 0) return;
    const joined = new Uint8Array(size);
    let offset = 0;
    for (const part of parts) {
      joined.set(part, offset);
      offset += part.length;
    }
    post({ type: 'bytes', connection, bytes: joined }, [joined.buffer]);
    parts = [];
    size = 0;
  };
  await database.execProtocolRawStream(bytes, {
    onRawData: (data) => {
      parts.push(data.slice()); // it is a view of the engine's memory, which the next answer overwrites
      size += data.length;
      if (size >= CHUNK_BYTES) flush();
    },
  });
  flush();
}

/** @param {PGlite} database */
async function reset(database) {
  // A connection that broke off after an error may have left the engine skipping everything up to the next Sync.
  await database.execProtocolRaw(SYNC);
  await database.exec('ROLLBACK');
  await database.exec('DISCARD ALL');
}

/** @param {unknown} error */
function fail(error) {
  db = undefined;
  post({ type: 'failed', reason: complaint() ?? (error instanceof Error ? error.message : String(error)) });
}

/** The engine's own last word is clearer than the exception ("Aborted(). Build with -sASSERTIONS …"). */
function complaint() {
  const at = printed.findLastIndex((line) => /\b(FATAL|PANIC):/.test(line));
  if (at < 0) return undefined;
  const detail = printed[at + 1]?.match(/\bDETAIL:\s+(.*)/)?.[1];
  const what = printed[at]?.replace(/^.*\b(FATAL|PANIC):\s+/, '');
  return detail === undefined ? what : `${what}: ${detail}`;
}

/** @param {string} line */
function remember(line) {
  printed.push(line);
  if (printed.length > 20) printed.shift();
  return false;
}

/**
 * @param {FromWorker} message
 * @param {ArrayBuffer[]} [transfer]
 */
function post(message, transfer) {
  parentPort?.postMessage(message, transfer);
}
