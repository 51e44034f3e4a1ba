/** One fault of a topology or of a manifest it names, where it is and what was perhaps meant. */
export interface TopologyFault {
  /** File as the user would type it; `-` for standard input. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** Keys and indexes from the top of the document, `scenarios.0.expect`; empty for the whole. */
  readonly path: string;
  readonly message: string;
  /** The nearest name that would have been right. */
  readonly suggestion?: string;
}

export type TopologyErrorCode = 'TOPOLOGY_INVALID' | 'TOPOLOGY_NOT_FOUND';

/**
 * A topology that cannot be used: the faults found at once, in file order. The message holds one
 * line for each, `file:line:column: message (did you mean "…"?)`.
 */
export class TopologyError extends Error {
  override readonly name = 'TopologyError';
  readonly code: TopologyErrorCode;
  readonly faults: readonly TopologyFault[];

  constructor(code: TopologyErrorCode, faults: readonly TopologyFault[], options?: ErrorOptions) {
    super(faults.map(formatFault).join('\n'), options);
    this.code = code;
    this.faults = faults;
  }
}

/** `file:line:column: message (did you mean "…"?)`, the form editors and terminals make links of. */
export function formatFault(fault: TopologyFault): string {
  const hint = fault.suggestion === undefined ? '' : ` (did you mean "${fault.suggestion}"?)`;
  return `${fault.file}:${fault.line}:${fault.column}: ${fault.message}${hint}`;
}
