import { type OutboundPlan } from './outbound-plan.ts';
import { parseEndpoint } from './address.ts';
import type { DialAddress } from './upstream.ts';
import type { Workload } from './state/workload.ts';

/** A connection to a mesh pod of the same node, made without a tunnel. */
export interface SameNodePlan {
  readonly kind: 'same-node';
  readonly destination: DialAddress;
  readonly workload: Workload;
  readonly service?: OutboundPlan['service'];
}

/**
 * The fast path of 1.18 to 1.20 (`src/proxy/outbound.rs`, `Request::direct` with a local upstream):
 * one ztunnel has both ends of a tunnel that would not leave the node, so it makes none. Any other
 * plan is given back, a tunnel to a waypoint included.
 */
export function shorten(plan: OutboundPlan, node: string | undefined): OutboundPlan | SameNodePlan {
  if (plan.kind !== 'hbone' || plan.workload === undefined) return plan;
  const { workload, destination, service } = plan;
  const target = parseEndpoint(plan.authority);
  const isItself =
    target !== undefined && destination.kind === 'ip' && target.ip === destination.ip;
  const isLocal = node !== undefined && workload.node === node && !workload.nativeTunnel;
  if (!isLocal || !isItself) return plan;
  return { kind: 'same-node', destination: { kind: 'ip', ...target }, workload, service };
}
