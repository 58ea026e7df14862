import { describe, expect, it } from '@jest/globals';
import { FrontendFramer } from './frontend-framer.js';

const STARTUP = Buffer.from([0, 0, 0, 8, 0, 3, 0, 0]);

function message(type: string, body = ''): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(4 + Buffer.byteLength(body));
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body)]);
}

function started(): FrontendFramer {
  const framer = new FrontendFramer();
  expect(Buffer.from(framer.take(STARTUP).batch ?? [])).toEqual(STARTUP);
  return framer;
}

describe('FrontendFramer', () => {
  it('hands on a query at once', () => {
    const query = message('Q', 'SELECT 1\0');
    expect(started().take(query)).toEqual({ batch: new Uint8Array(query), terminated: false });
  });

  it('keeps a statement back until its Sync, however it is cut', () => {
    const framer = started();
    const whole = Buffer.concat([message('P', 'a'), message('B', 'bb'), message('E', ''), message('S')]);
    const batches: Uint8Array[] = [];
    for (const byte of whole) {
      const { batch } = framer.take(Buffer.from([byte]));
      if (batch) batches.push(batch);
    }
    expect(batches).toEqual([new Uint8Array(whole)]);
  });

  it('keeps what comes after the Sync for the next batch', () => {
    const framer = started();
    const first = Buffer.concat([message('P', 'a'), message('S')]);
    expect(framer.take(Buffer.concat([first, message('P', 'b')])).batch).toEqual(new Uint8Array(first));
    const rest = Buffer.concat([message('P', 'b'), message('S')]);
    expect(framer.take(message('S')).batch).toEqual(new Uint8Array(rest));
  });

  it('does not hand on the good-bye, nor a statement without its Sync', () => {
    expect(started().take(Buffer.concat([message('P', 'a'), message('X')]))).toEqual({ terminated: true });
  });
});
