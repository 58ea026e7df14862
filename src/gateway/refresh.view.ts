import { z } from 'zod';
import { CAPABILITY_KINDS, type CapabilityKind, type RefreshReport } from '../catalogue/index.js';
import { ValidationErrorView } from './gateway.view.js';

const changes = z.object({ added: z.int(), updated: z.int(), removed: z.int() });

/** What a refresh did, as REST shows it (SPEC G-5). */
export const RefreshViewSchema = z.object({
  success: z.boolean().describe('Every list was read completely'),
  error: z.string().optional(),
  tools: changes,
  resources: changes,
  resourceTemplates: changes,
  prompts: changes,
  failedLists: z
    .array(z.object({ kind: z.enum(CAPABILITY_KINDS), code: z.string(), message: z.string() }))
    .describe('What was read of them last stays'),
  validationErrors: z.array(ValidationErrorView).describe('Entries of the server that were skipped'),
  durationMs: z.int(),
});
export type RefreshView = z.output<typeof RefreshViewSchema>;

export function refreshView(report: RefreshReport): RefreshView {
  const { success, error, failedLists, validationErrors, durationMs } = report;
  const of = (kind: CapabilityKind) => {
    const { added, updated, removed } = report.changes[kind];
    return { added, updated, removed };
  };
  return {
    success,
    ...(error === undefined ? {} : { error }),
    ...{ tools: of('tool'), resources: of('resource'), prompts: of('prompt') },
    resourceTemplates: of('resource_template'),
    failedLists: [...failedLists],
    validationErrors: [...validationErrors],
    durationMs,
  };
}
