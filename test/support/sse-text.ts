export interface ParsedEvent {
  readonly type: string;
  readonly id?: string;
  readonly data: string;
}

/** The events of a stream's text, read as WHATWG HTML, "Server-sent events" says; one that is not finished is none. */
export function parseEvents(text: string): ParsedEvent[] {
  const blocks = text.split(/\r\n\r\n|\n\n|\r\r/).slice(0, -1);
  return blocks.flatMap((block) => {
    let type = 'message';
    let id: string | undefined;
    const data: string[] = [];
    for (const line of block.split(/\r\n|\n|\r/)) {
      const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (field === 'event') type = value;
      else if (field === 'id') id = value;
      else if (field === 'data') data.push(value);
    }
    return data.length === 0 ? [] : [{ type, ...(id === undefined ? {} : { id }), data: data.join('\n') }];
  });
}
