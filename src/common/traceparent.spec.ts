import { expect, it } from '@jest/globals';
import { traceparentOf } from './traceparent.js';

const [TRACE, SPAN] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];

it('a trace context in its form is passed on (P-16)', () => {
  expect(traceparentOf(`00-${TRACE}-${SPAN}-01`)).toBe(`00-${TRACE}-${SPAN}-01`);
});

it.each([
  undefined,
  '',
  `00-${TRACE}-${SPAN}`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01-x`,
  `00-${TRACE}-${SPAN}-01\r\nx: y`,
  ` 00-${TRACE}-${SPAN}-01`,
])('%j is not', (header) => {
  expect(traceparentOf(header)).toBeUndefined();
});
