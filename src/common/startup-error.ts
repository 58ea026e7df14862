/**
 * The service cannot start, and the person who starts it can mend it: the message is one line that says what is wrong
 * and what to do. `main` prints just that line and exits with 1 (no stack).
 */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}
