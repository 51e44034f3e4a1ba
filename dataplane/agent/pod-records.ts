import { setTimeout as sleep } from 'node:timers/promises';
import type { CmdAdd, EnrolRequest, PodRecord } from './api.ts';
import { PodError } from './errors.ts';

/** Upstream asks its informer ten times, 10 ms apart: the event may overtake the API server. */
const TRIES = 10;
const TRY_INTERVAL_MS = 10;

/** What the API server has told of the pods of this node, for events that carry only a name. */
export class PodRecords {
  readonly #records = new Map<string, PodRecord>();

  set(pod: PodRecord): void {
    this.#records.set(`${pod.namespace}/${pod.name}`, pod);
  }

  /**
   * The enrolment that a CNI event stands for; nothing when the pod is not to be in the mesh.
   * @throws {PodError} when the API server has not told of the pod
   */
  async enrolRequest(event: CmdAdd): Promise<EnrolRequest | undefined> {
    const key = `${event.PodNamespace}/${event.PodName}`;
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const pod = this.#records.get(key);
      if (pod !== undefined) return pod.ambient ? toRequest(pod, event) : undefined;
      await sleep(TRY_INTERVAL_MS);
    }
    throw new PodError(
      'DATAPLANE_AGENT_POD_UNKNOWN',
      `Cannot add pod "${key}": the API server has not told of it within 100 ms`,
    );
  }
}

function toRequest(pod: PodRecord, event: CmdAdd): EnrolRequest {
  const { uid, name, namespace, serviceAccount, annotations } = pod;
  return {
    ...{ uid, name, namespace, serviceAccount },
    netns: event.Netns,
    ips: event.IPs.map((ip) => ip.Address.IP),
    ...(annotations === undefined ? {} : { annotations }),
  };
}
