/** What was thrown, as one line of text. By shape, not by class: an AggregateError may come with no message at all. */
export function oneLine(error: unknown): string {
  const { message, code, name } = (error ?? {}) as { message?: unknown; code?: unknown; name?: unknown };
  const text = [message, code, name].find((part) => typeof part === 'string' && part !== '') ?? error;
  return String(text).replace(/\s+/g, ' ').trim();
}
