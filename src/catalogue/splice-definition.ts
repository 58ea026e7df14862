import { scanObject, type Span } from '../common/json-scan.js';

interface Edit {
  readonly span: Span;
  readonly text: string;
}

/**
 * A list entry with other values for some of its members; every other byte stays as the server sent it (SPEC D-7).
 * A member that the entry does not have is put first.
 *
 * @param definition the bytes of one JSON object
 * @param values new values by member name
 */
export function spliceDefinition(definition: Buffer, values: Readonly<Record<string, string>>): Buffer {
  const members = scanObject(definition);
  const edits: Edit[] = [];
  const added: string[] = [];
  for (const [member, value] of Object.entries(values)) {
    const span = members.get(member);
    if (span) edits.push({ span, text: JSON.stringify(value) });
    else added.push(`${JSON.stringify(member)}:${JSON.stringify(value)}`);
  }
  if (added.length > 0) edits.push({ span: afterBrace(definition), text: added.join(',') + (members.size ? ',' : '') });
  return apply(definition, edits);
}

function afterBrace(definition: Buffer): Span {
  const at = definition.indexOf(0x7b) + 1;
  return { start: at, end: at };
}

function apply(bytes: Buffer, edits: readonly Edit[]): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const { span, text } of [...edits].sort((a, b) => a.span.start - b.span.start)) {
    parts.push(bytes.subarray(at, span.start), Buffer.from(text, 'utf8'));
    at = span.end;
  }
  parts.push(bytes.subarray(at));
  return Buffer.concat(parts);
}
