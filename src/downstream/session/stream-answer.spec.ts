import { afterAll, expect, it } from '@jest/globals';
import { SsePairs } from '../../../test/support/sse-pair.js';
import { parseEvents } from '../../../test/support/sse-text.js';
import { CodedError } from '../../common/errors.js';
import { EventBudget, EventLog } from '../stream/event-log.js';
import { EventStream } from '../stream/event-stream.js';
import { StreamAnswer } from './stream-answer.js';

const pairs = new SsePairs();
afterAll(() => pairs.close());

it('answers of several requests share one stream, in the order in which they come, and none of them ends it', async () => {
  const limits = { maxEvents: 9, maxBytes: 9_999, maxAgeMs: 999, maxEventBytes: 999 };
  const stream = new EventStream('s', new EventLog(limits, new EventBudget(9_999), () => 0));
  const pair = await pairs.open();
  stream.open(pair.connection, false);
  const [one, two, three, four] = ['"a"', '2', '3', '4'].map((id) => new StreamAnswer(stream, Buffer.from(id)));
  one?.interim(Buffer.from('{"jsonrpc":"2.0","method":"notifications/progress"}'));
  two?.reply({ kind: 'result', raw: Buffer.from('{"n":1.0}') });
  three?.cancelled();
  four?.reply({ kind: 'error', raw: Buffer.from('{"code":-5,"message":"own"}') });
  one?.fail(new CodedError('UNKNOWN_TOOL', 'unknown tool'));
  expect(stream.ended).toBe(false);
  stream.end();
  expect(parseEvents(await pair.all()).map(({ data }) => data)).toEqual([
    '{"jsonrpc":"2.0","method":"notifications/progress"}',
    '{"jsonrpc":"2.0","id":2,"result":{"n":1.0}}',
    '{"jsonrpc":"2.0","id":4,"error":{"code":-5,"message":"own"}}',
    '{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"unknown tool","data":{"code":"UNKNOWN_TOOL","retryable":false}}}',
  ]);
});
