export type FaultErrorCode =
  | 'LAB_UNKNOWN_FAULT'
  | 'LAB_BAD_FAULT'
  | 'LAB_BAD_FAULT_PLACE'
  | 'LAB_NO_SUCH_FAULT'
  | 'LAB_FILE_FAULT';

/** A fault that cannot be made or mended as asked: bad input, exit code 2. */
export class FaultError extends Error {
  override readonly name = 'FaultError';
  readonly code: FaultErrorCode;
  /** The fault in question. */
  readonly fault: string;
  readonly hint: string | undefined;

  constructor(code: FaultErrorCode, fault: string, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.fault = fault;
    this.hint = hint;
  }
}
