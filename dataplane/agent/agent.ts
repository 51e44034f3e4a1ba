import type {
  AgentStatus,
  EnrolRequest,
  LeaveRequest,
  PodStatus,
  ReconcileReport,
  ZtunnelReport,
} from './api.ts';

/** What the plugin socket asks of an agent, whatever its era. */
export interface Agent extends AsyncDisposable {
  enrol(request: EnrolRequest): Promise<PodStatus>;
  leave(request: LeaveRequest): Promise<void>;
  reconcile(): Promise<ReconcileReport>;
  status(): AgentStatus;
  /** Told of ztunnel pods; in-pod eras meet them on the ZDS socket instead. */
  ztunnel?(report: ZtunnelReport): Promise<void>;
}
