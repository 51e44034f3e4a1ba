import type { LegEnd } from './facts.ts';

/** Who holds a socket: `sleep`, `ztunnel(node1)`, `envoy(sleep)` for a sidecar, `node1`, `outside`. */
export function endName({ kind, name, node, netns }: LegEnd): string {
  if (kind === 'envoy') return `envoy(${podOfNetns(netns)})`;
  return kind === 'ztunnel' && node !== undefined ? `ztunnel(${node})` : name;
}

/** Name of the pod whose netns this is: `<pod>.<namespace>`. */
export function podOfNetns(netns: string): string {
  const dot = netns.lastIndexOf('.');
  return dot < 0 ? netns : netns.slice(0, dot);
}
