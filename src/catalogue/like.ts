/** A LIKE pattern for "contains this text", whatever the text is. */
export function containing(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`;
}
