/**
 * A fault on the way to another machine. Codes: LAB_BAD_DESTINATION and LAB_BAD_SSH_CONFIG for what a
 * person wrote; LAB_SSH_HOST_UNKNOWN, LAB_SSH_HOST_CHANGED, LAB_SSH_HOST_REVOKED for host keys;
 * LAB_SSH_DENIED, LAB_SSH_UNREACHABLE, LAB_SSH_LOST for the connection; LAB_CANNOT_RUN for a machine,
 * here or there, that lacks something.
 */
export class SshError extends Error {
  override readonly name = 'SshError';
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: SshErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

export interface SshErrorOptions {
  readonly hint?: string;
  readonly cause?: unknown;
}

/** Where in a file something stands; both count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `file:line:column`, as editors and terminals open it. */
export function describePosition({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`;
}
