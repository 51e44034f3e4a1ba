import { TUNNEL_KIND_TEXT } from '../../../dataplane/tunnels/tunnel.ts';
import type { RunFacts } from '../../facts/facts.ts';
import type { Plan } from '../../plan/plan.ts';
import { counted } from '../text.ts';
import type { AboutLine } from './report-input.ts';

/** Which tunnels a run used and what made them: results of era geneve are nothing without it. */
export function aboutTunnels(plan: Plan, facts: RunFacts): readonly AboutLine[] {
  const hbone = facts.connections.filter(({ tls }) =>
    tls?.streams.some(({ method }) => method === 'CONNECT'),
  );
  const streams = hbone.reduce((sum, { tls }) => sum + (tls?.streams.length ?? 0), 0);
  const overlays = plan.netns.flatMap(({ vxlans = [] }) => vxlans);
  return [
    {
      name: 'HBONE',
      value:
        hbone.length === 0
          ? 'no tunnel was read'
          : `${counted(hbone.length, 'tunnel')} with ${counted(streams, 'stream')}`,
    },
    {
      name: 'Pod network',
      value: overlays.length === 0 ? plan.cni : `${plan.cni}: ${overlayText(overlays)}`,
    },
    ...(facts.tunnels === undefined
      ? []
      : [{ name: 'Geneve', value: `by ${TUNNEL_KIND_TEXT[facts.tunnels]}` }]),
  ];
}

function overlayText(overlays: NonNullable<Plan['netns'][number]['vxlans']>): string {
  const [first] = overlays;
  return first === undefined ? '' : `VNI ${first.vni}, UDP port ${first.udpPort}`;
}
