import { CodedError, type CodedErrorOptions, type ErrorCode } from '../common/errors.js';

export type ExecutionErrorCode = Extract<
  ErrorCode,
  | 'METHOD_NOT_FOUND'
  | 'INVALID_PARAMS'
  | 'NOT_FOUND'
  | `UNKNOWN_${string}`
  | 'RESOURCE_NOT_FOUND'
  | `${string}_DISABLED`
>;

/** Why a request could not be run; never a failure of a server. */
export class ExecutionError extends CodedError<ExecutionErrorCode> {
  override readonly name = 'ExecutionError';

  constructor(code: ExecutionErrorCode, message: string, options: CodedErrorOptions = {}) {
    super(code, message, options);
  }
}
