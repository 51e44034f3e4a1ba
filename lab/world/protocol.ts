import type { Plan } from '../plan/plan.ts';
import type { CountedRule } from '../policy/read-back.ts';
import type { Recording } from '../capture/layout.ts';
import type { ScenarioRequest } from '../../topologies/topology.ts';
import type { ErrorOnTheWire } from './errors.ts';
import type {
  AppObservation,
  CaptureStartOptions,
  EnrolResult,
  LabStatus,
  PodChange,
  PodChanged,
  PolicyChange,
  ProcessKind,
  Progress,
  RequestOptions,
  RequestReport,
} from './lab.ts';

/** Version of the control protocol; client and supervisor of one lab must agree. */
export const PROTOCOL_VERSION = 1;

/**
 * Methods of the control socket: newline-delimited JSON, requests `{id, method, params}`, answers
 * `{id, result}` or `{id, error}` in any order, any number of clients. The supervisor speaks first
 * (`Hello`).
 */
export interface ControlMethods {
  plan: { params: Empty; result: Plan };
  status: { params: Empty; result: LabStatus };
  enrol: { params: { readonly pod: string }; result: EnrolResult };
  changePolicies: { params: PolicyChange; result: Empty };
  changePod: { params: PodChange; result: PodChanged };
  policyRules: { params: { readonly node: string }; result: readonly CountedRule[] };
  leave: { params: { readonly pod: string }; result: EnrolResult };
  request: {
    params: { readonly request: ScenarioRequest; readonly options: RequestOptions };
    result: RequestReport;
  };
  observations: { params: { readonly canary?: string }; result: readonly AppObservation[] };
  startCapture: {
    params: { readonly directory: string; readonly options: CaptureStartOptions };
    result: Empty;
  };
  stopCapture: { params: Empty; result: Recording };
  kill: {
    params: { readonly process: ProcessKind; readonly node: string; readonly signal: string };
    result: Empty;
  };
  restart: { params: { readonly process: ProcessKind; readonly node: string }; result: Empty };
  surge: { params: { readonly node: string }; result: Empty };
  retire: { params: { readonly node: string }; result: Empty };
  renewSidecars: { params: Empty; result: Empty };
  rotateSidecars: { params: Empty; result: Empty };
  drift: { params: Empty; result: readonly string[] };
  down: { params: Empty; result: Empty };
}

export type Empty = Readonly<Record<string, never>>;
export type ControlMethod = keyof ControlMethods;
export type ParamsOf<M extends ControlMethod> = ControlMethods[M]['params'];
export type ResultOf<M extends ControlMethod> = ControlMethods[M]['result'];

export interface Hello {
  readonly protocol: number;
  readonly lab: string;
}

export interface ControlRequest {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
}

/** Lines on the supervisor's standard output while it starts. */
export type StartLine =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly error: ErrorOnTheWire };

/** The one line on the supervisor's standard input. */
export interface StartOrder {
  readonly plan: Plan;
  /** The supervisor outlives its client; otherwise the end of standard input is its end. */
  readonly detached: boolean;
  readonly withoutMesh: boolean;
  readonly withoutEvidence: boolean;
  /** Path of Envoy on the machine, for labs with sidecars. */
  readonly envoy?: string;
  readonly ztunnel?: {
    readonly argv: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  };
}
