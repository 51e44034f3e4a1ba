import type { Era } from '../../dataplane/redirect/era.ts';
import type { CniName } from '../../topologies/cni.ts';
import type { Topology } from '../../topologies/topology.ts';
import { PlanError } from './errors.ts';

/**
 * Refuses what does not go together, with the reason.
 * @throws {PlanError} LAB_PLAN_CONFLICT: era geneve where pods hang on a bridge (Istio 1.18 to 1.20
 *   `cni/pkg/ambient/net_linux.go` looks up the route to its ztunnel and wants a veth); IPv6 with
 *   releases of era inpod-tproxy whose set of probed pods holds IPv4 only.
 */
export function checkFlavours(topology: Topology, era: Era, cni: CniName): void {
  if (era === 'geneve' && cni === 'bridge') {
    const message =
      'Cannot plan era "geneve" on the CNI "bridge": the route to the ztunnel pod leads to cni0, ' +
      'a veth is wanted (Istio 1.18 to 1.20 give up with "not veth implemented CNI")';
    throw new PlanError('LAB_PLAN_CONFLICT', cni, message);
  }
  const isEarly = topology.release === '1.21' || topology.release === '1.22';
  if (era === 'inpod-tproxy' && isEarly && topology.ipFamilies.includes('IPv6')) {
    const message =
      `Cannot plan IPv6 with release "${topology.release}" of era "inpod-tproxy": its set of ` +
      'probed pods holds IPv4 only, want 1.23 or 1.24';
    throw new PlanError('LAB_PLAN_CONFLICT', 'IPv6', message);
  }
}
