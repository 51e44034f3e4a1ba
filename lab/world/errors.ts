/**
 * A fault of a living world that a caller acts on. Codes: LAB_EXISTS, LAB_NOT_RUNNING,
 * LAB_BAD_NAME, LAB_BAD_DIRECTORY, LAB_NOT_ROOT, LAB_PROGRAM_MISSING, LAB_PROGRAM_SILENT, LAB_SUPERVISOR_DIED,
 * LAB_START_FAILED, LAB_BUILD_FAILED, LAB_READBACK_DIFFERS, LAB_PROCESS_EXITED, LAB_PROCESS_KILLED,
 * LAB_NOT_READY, LAB_STARTING, LAB_NO_MESH, LAB_NO_CAPTURE, LAB_PROTOCOL, LAB_BUSY, LAB_STUCK, LAB_UNKNOWN_POLICY,
 * LAB_NO_SPARE, LAB_BUG.
 */
export class LabError extends Error {
  override readonly name = 'LabError';
  readonly code: string;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: LabErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }
}

export interface LabErrorOptions {
  readonly hint?: string;
  /** Data of the fault: argv, exitCode, stderr, what was seen and wished. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** How an error crosses the control socket. */
export interface ErrorOnTheWire {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly stack?: string;
}

/** Everything of an error that a client may need; unknown faults become LAB_BUG. */
export function errorToWire(error: unknown): ErrorOnTheWire {
  if (error instanceof LabError) {
    const { code, message, hint, details } = error;
    return { code, message: withCause(message, error.cause), hint, details };
  }
  if (!(error instanceof Error)) return { code: 'LAB_BUG', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'LAB_BUG';
  const suggestion = 'suggestion' in error ? error.suggestion : undefined;
  const hint = typeof suggestion === 'string' ? `Did you mean "${suggestion}"?` : undefined;
  return { code, message: withCause(error.message, error.cause), hint, stack: error.stack };
}

/** The error a client throws for what the supervisor answered. */
export function errorFromWire(wire: ErrorOnTheWire): LabError {
  const error = new LabError(wire.code, wire.message, { hint: wire.hint, details: wire.details });
  if (wire.stack !== undefined) error.stack = wire.stack;
  return error;
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What was thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function withCause(message: string, cause: unknown): string {
  if (cause === undefined) return message;
  const why = messageOf(cause);
  return message.includes(why) ? message : `${message}: ${why}`;
}
