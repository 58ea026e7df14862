type Environment = Readonly<Record<string, string | undefined>>;

/** `${NAME}`, `${NAME:-default}` and `${env:NAME}`, as the clients write them; whatever else stands in the braces. */
const REFERENCE = /\$\{([^}]*)\}/g;
const NAMED = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/**
 * A text with its references to the environment filled in. A variable that is set and empty counts as not set.
 *
 * @param problems gets a line for each reference that cannot be filled
 */
export function expandEnv(text: string, env: Environment, problems: string[]): string {
  return text.replace(REFERENCE, (reference, inner: string) => {
    const [, name = '', fallback] = NAMED.exec(inner) ?? [];
    if (name === '') problems.push(`${reference} is no reference to the environment`);
    const value = env[name] || fallback;
    if (name !== '' && value === undefined) problems.push(`${name} is not set in the environment`);
    return value ?? reference;
  });
}
