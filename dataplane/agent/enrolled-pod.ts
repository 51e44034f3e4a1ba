import { closeNetns, netnsInode, openNetns, withNetns } from '../kernel/netns.ts';
import type { ApiError, EnrolRequest, PodState, PodStatus } from './api.ts';
import type { ApplyResult } from './apply-options.ts';
import { PodError } from './errors.ts';
import type { ZdsWorkload } from './zds-server.ts';

/** What upstream would write on the pod. */
const REDIRECTION: Partial<Record<PodState, 'enabled' | 'pending'>> = {
  enrolled: 'enabled',
  pending: 'pending',
};

/** `netnsInode` of this process's own namespace. */
const HOME = -1;

/**
 * A pod that was given to the agent, with the descriptor that holds its netns: it lives, whatever
 * becomes of the path, until the pod is let go.
 */
export class EnrolledPod implements Disposable {
  readonly request: EnrolRequest;
  readonly netns: number | undefined;
  state: PodState = 'enrolling';
  rules: ApplyResult | undefined;
  acked = false;
  error: ApiError | undefined;

  private constructor(request: EnrolRequest, netns: number | undefined) {
    this.request = request;
    this.netns = netns;
  }

  /**
   * Opens the pod's netns by its path.
   * @throws {PodError} when the path is no netns, or the one this agent is in (a host-network pod)
   */
  static open(request: EnrolRequest): EnrolledPod {
    const { name, namespace, netns: path } = request;
    const refuse = (state: string, cause?: unknown): PodError =>
      new PodError(
        'DATAPLANE_AGENT_POD_NETNS',
        `Cannot enrol pod "${namespace}/${name}": "${path}" ${state}, the pod's netns is wished`,
        cause,
      );
    let fd: number | undefined;
    try {
      fd = openNetns(path);
      // Entering is the check: a descriptor of another kind of file has an inode as well.
      withNetns(fd, () => {});
      if (netnsInode(fd) !== netnsInode(HOME)) return new EnrolledPod(request, fd);
    } catch (error) {
      if (fd !== undefined) closeNetns(fd);
      throw refuse('cannot be opened as a netns', error);
    }
    closeNetns(fd);
    throw refuse('is the netns of the node');
  }

  /** A pod whose netns is not known (any more): ztunnel is asked to keep what it has. */
  static withoutNetns(request: EnrolRequest): EnrolledPod {
    return new EnrolledPod(request, undefined);
  }

  get uid(): string {
    return this.request.uid;
  }

  /** Whether a snapshot for ztunnel must name it: rules are in, and it is not on its way out. */
  get isInSnapshot(): boolean {
    return this.state === 'pending' || this.state === 'enrolled';
  }

  get workload(): ZdsWorkload {
    const { uid, name, namespace, serviceAccount } = this.request;
    return { uid, info: { name, namespace, serviceAccount }, netns: this.netns };
  }

  get status(): PodStatus {
    const { uid, name, namespace, serviceAccount, netns, ips } = this.request;
    const annotation = REDIRECTION[this.state];
    return {
      ...{ uid, name, namespace, serviceAccount, netns, ips },
      state: this.state,
      ...(this.rules === undefined ? {} : { rules: this.rules }),
      acked: this.acked,
      ...(annotation === undefined ? {} : { redirection: annotation }),
      ...(this.error === undefined ? {} : { error: this.error }),
    };
  }

  /** Whether both hold the same network namespace. */
  hasNetnsOf(other: EnrolledPod): boolean {
    if (this.netns === undefined || other.netns === undefined) return false;
    return netnsInode(this.netns) === netnsInode(other.netns);
  }

  [Symbol.dispose](): void {
    if (this.netns !== undefined) closeNetns(this.netns);
  }
}
