import { scanObject, type Span } from '../common/json-scan.js';
import { splice, type Splice } from '../common/json-splice.js';

/**
 * A list entry with other values for some of its members; every other byte stays as the server sent it (SPEC D-7).
 * A member that the entry does not have is put first.
 *
 * @param definition the bytes of one JSON object
 * @param values new values by member name
 */
export function spliceDefinition(definition: Buffer, values: Readonly<Record<string, string>>): Buffer {
  const members = scanObject(definition);
  const edits: Splice[] = [];
  const added: string[] = [];
  for (const [member, value] of Object.entries(values)) {
    const span = members.get(member);
    if (span) edits.push({ span, bytes: Buffer.from(JSON.stringify(value)) });
    else added.push(`${JSON.stringify(member)}:${JSON.stringify(value)}`);
  }
  if (added.length > 0) {
    const text = added.join(',') + (members.size ? ',' : '');
    edits.push({ span: afterBrace(definition), bytes: Buffer.from(text) });
  }
  return splice(definition, edits);
}

function afterBrace(definition: Buffer): Span {
  const at = definition.indexOf(0x7b) + 1;
  return { start: at, end: at };
}
