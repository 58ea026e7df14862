import { type Lookup } from '../catalogue/catalogue-entries.js';
import { ExecutionError, type ExecutionErrorCode } from './execution.errors.js';

type Noun = 'tool' | 'resource' | 'prompt';

const UNKNOWN: Readonly<Record<Noun, ExecutionErrorCode>> = {
  tool: 'UNKNOWN_TOOL',
  resource: 'RESOURCE_NOT_FOUND',
  prompt: 'UNKNOWN_PROMPT',
};
const DISABLED: Readonly<Record<Noun | 'gateway', ExecutionErrorCode>> = {
  gateway: 'GATEWAY_DISABLED',
  tool: 'TOOL_DISABLED',
  resource: 'RESOURCE_DISABLED',
  prompt: 'PROMPT_DISABLED',
};

/** @throws ExecutionError that says why it cannot be used (SPEC D-6) */
export async function expectFound<E>(what: Noun, name: string, lookup: Lookup<E> | Promise<Lookup<E>>): Promise<E> {
  const result = await lookup;
  switch (result.kind) {
    case 'found':
      return result.entry;
    case 'missing': {
      const shown = JSON.stringify(name.slice(0, 256));
      throw new ExecutionError(UNKNOWN[what], `unknown ${what} ${shown}; see ${what}s/list`, {
        ...(what === 'resource' ? { details: { uri: name.slice(0, 2_048) } } : {}),
      });
    }
    case 'disabled': {
      const message = `${result.what} ${JSON.stringify(result.name)} is disabled by the administrator`;
      throw new ExecutionError(DISABLED[result.what], message);
    }
  }
}
