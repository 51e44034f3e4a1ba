import type { Evidence, PathProbe } from '../evidence.ts';
import type { Finding } from '../finding.ts';

/** Paths between nodes that lose packets which the pods' links take for small enough. */
export function findMtuTooSmall(evidence: Evidence): readonly Finding[] {
  return evidence.paths.flatMap((path): readonly Finding[] => {
    const { passesBytes, linkMtuBytes, isTold } = path;
    if (passesBytes === undefined || passesBytes >= linkMtuBytes || isTold) return [];
    return [findingOf(evidence, path, passesBytes)];
  });
}

function findingOf(evidence: Evidence, path: PathProbe, passesBytes: number): Finding {
  const { from, to, linkMtuBytes } = path;
  const isOverlay = evidence.plan.cni === 'vxlan';
  const inside = isOverlay ? ', 50 bytes less than the network between the nodes must carry' : '';
  return {
    cause: 'mtu-too-small',
    at: `${from}–${to}`,
    text: `Packets of more than ${passesBytes} bytes vanish between ${from} and ${to}, and nobody says so`,
    effect:
      'Connections open and small requests answer; large ones and TLS handshakes hang until they time out.',
    evidence: [
      `packets   ping of ${linkMtuBytes} bytes that may not be fragmented: lost, no ICMP`,
      `packets   ping of ${passesBytes} bytes: answered; of ${passesBytes + 1}: lost`,
      `link      eth0 of the pods has MTU ${linkMtuBytes}${inside}`,
      ...mtuDrift(evidence).map((line) => `link      ${line}`),
    ],
    mend:
      `Raise the MTU of the network between the nodes, or lower that of the pods' links to ${passesBytes}` +
      '; let ICMP "fragmentation needed" through.',
  };
}

/** Links whose MTU is other than planned. */
export function mtuDrift({ drift }: Evidence): readonly string[] {
  return drift.filter((line) => / has MTU \d+, /.test(line));
}
