export type PlanErrorCode =
  | 'LAB_PLAN_CONFLICT'
  | 'LAB_UNKNOWN_ERA'
  | 'LAB_UNKNOWN_CNI'
  | 'LAB_UNKNOWN_IPTABLES'
  | 'LAB_UNKNOWN_TUNNELS'
  | 'LAB_UNKNOWN_POD'
  | 'LAB_AMBIGUOUS_POD'
  | 'LAB_UNKNOWN_NODE'
  | 'LAB_UNKNOWN_SERVICE'
  | 'LAB_UNKNOWN_NAME'
  | 'LAB_BAD_ANNOTATION'
  | 'LAB_BAD_TARGET';

/** A plan that cannot be made, or a word that names nothing in it: bad input, exit code 2. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
  readonly code: PlanErrorCode;
  /** The word or address in question. */
  readonly value: string;
  /** The nearest name that would have been right. */
  readonly suggestion?: string;

  constructor(code: PlanErrorCode, value: string, message: string, suggestion?: string) {
    super(suggestion === undefined ? message : `${message} (did you mean "${suggestion}"?)`);
    this.code = code;
    this.value = value;
    if (suggestion !== undefined) this.suggestion = suggestion;
  }
}
