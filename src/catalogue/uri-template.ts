/** One piece of a template: fixed text, or an expression and what it may stand for. */
type Part =
  | { readonly text: string }
  | {
      /** The character that an expression with an operator begins with; one that has none there may be absent. */
      readonly opens?: string;
      /** Characters that end it. */
      readonly stops: string;
    };

const EXPRESSION = /\{([+#./;?&]?)[^{}]+\}/g;

/** RFC 6570, read backwards and generously: what is let through in vain, the server itself refuses. */
const OPERATORS: Readonly<Record<string, Part>> = {
  '': { stops: '/' },
  '+': { stops: '' },
  '#': { opens: '#', stops: '' },
  '.': { opens: '.', stops: '/' },
  '/': { opens: '/', stops: '?#' },
  ';': { opens: ';', stops: '/?#' },
  '?': { opens: '?', stops: '#' },
  '&': { opens: '&', stops: '#' },
};

/**
 * Whether a URI could come from a template (RFC 6570). No regular expression is made of a template: templates and URIs
 * are strangers' text, and here the time grows with the length of the URI times the parts of the template, never faster.
 */
export class UriTemplate {
  /** Length of the fixed text before the first expression: the longer, the more it says (SPEC G-4). */
  readonly prefixLength: number;
  private readonly parts: readonly Part[];

  constructor(template: string) {
    this.parts = partsOf(template);
    const [first] = this.parts;
    this.prefixLength = first && 'text' in first ? first.text.length : 0;
  }

  matches(uri: string): boolean {
    // Where in the URI the parts so far can end.
    let ends = new Set([0]);
    for (const part of this.parts) {
      ends = 'text' in part ? afterText(part.text, uri, ends) : afterExpression(part, uri, ends);
      if (ends.size === 0) return false;
    }
    return ends.has(uri.length);
  }
}

function partsOf(template: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  for (const match of template.matchAll(EXPRESSION)) {
    if (match.index > at) parts.push({ text: template.slice(at, match.index) });
    parts.push(OPERATORS[match[1] ?? ''] as Part);
    at = match.index + match[0].length;
  }
  if (at < template.length) parts.push({ text: template.slice(at) });
  return parts;
}

function afterText(text: string, uri: string, starts: ReadonlySet<number>): Set<number> {
  const ends = new Set<number>();
  for (const start of starts) if (uri.startsWith(text, start)) ends.add(start + text.length);
  return ends;
}

function afterExpression(
  { opens, stops }: { opens?: string; stops: string },
  uri: string,
  starts: ReadonlySet<number>,
): Set<number> {
  const ends = new Set<number>();
  for (const start of starts) {
    if (opens !== undefined && uri[start] !== opens) continue;
    // Where another start has been already, everything behind is known.
    for (let at = start + (opens?.length ?? 0); at < uri.length && !ends.has(at + 1); at++) {
      if (stops.includes(uri.charAt(at))) break;
      ends.add(at + 1);
    }
  }
  return opens === undefined ? ends : new Set([...starts, ...ends]);
}
