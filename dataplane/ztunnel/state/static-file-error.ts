/** Where in the text a fault is; both count from 1. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
}

/** The file of workloads, services and policies is not what its format says. */
export class StaticFileError extends Error {
  override readonly name = 'StaticFileError';
  readonly code = 'DATAPLANE_STATIC_FILE';
  readonly file: string;
  readonly position: TextPosition | undefined;
  constructor(file: string, position: TextPosition | undefined, fault: string, cause?: unknown) {
    const at = position ? `:${position.line}:${position.column}` : '';
    super(`Cannot read "${file}${at}": ${fault}`, cause === undefined ? undefined : { cause });
    this.file = file;
    this.position = position;
  }
}
