/** A secret in clear, or `undefined` when it cannot be opened (another ENCRYPTION_KEY): the rest goes on without it. */
export function readable<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch {
    return undefined;
  }
}
