/**
 * The stacks of an error and its causes as text. Text on purpose: an error object of the database carries the query's
 * parameters, and a logger that prints its members would print them.
 */
export function stackOf(error: unknown): string {
  const stacks: string[] = [];
  let at = error;
  while (at instanceof Error && stacks.length < 5) {
    stacks.push(at.stack ?? at.message);
    at = at.cause;
  }
  return stacks.length > 0 ? stacks.join('\ncaused by: ') : `not an error but a ${typeof error} was thrown`;
}
