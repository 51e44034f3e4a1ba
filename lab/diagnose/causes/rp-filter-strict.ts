import type { Evidence, NodeEvidence, Readings } from '../evidence.ts';
import type { Finding } from '../finding.ts';

const KEY = 'net.ipv4.conf.all.rp_filter';
const STRICT = '1';

/** Nodes of era geneve whose reverse path filter drops what comes out of the tunnels. */
export function findRpFilterStrict(evidence: Evidence): readonly Finding[] {
  if (evidence.plan.era !== 'geneve') return [];
  return evidence.nodes.flatMap((node) => {
    const strict = placesOf(node).filter(({ readings }) => readings.settings[KEY] === STRICT);
    return strict.map(({ at, readings }) => findingOf(at, readings));
  });
}

function placesOf({ node, own, ofZtunnel }: NodeEvidence) {
  return [
    { at: node.name, readings: own },
    { at: `ztunnel/${node.name}`, readings: ofZtunnel },
  ];
}

function findingOf(at: string, { reversePathDrops }: Readings): Finding {
  return {
    cause: 'rp-filter-strict',
    at,
    text: 'The reverse path filter is strict where packets come in by another link than answers leave by',
    effect: 'Every captured connection times out; packets vanish without a log line or an ICMP.',
    evidence: [
      `sysctl    ${KEY} = ${STRICT} (the larger of this and the link's own counts)`,
      `counter   TcpExtIPReversePathFilter: ${reversePathDrops} packets dropped`,
    ],
    mend: `sysctl -w ${KEY}=0, and take the setting out of /etc/sysctl.d (Istio's agent writes 0 only when it starts).`,
  };
}
