import type { Evidence, HboneProbe } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { someOf } from '../pod-facts.ts';

/** Pods that a policy opens at the app's port and not at 15008, by packets that were sent. */
export function findPolicyWithout15008(evidence: Evidence): readonly Finding[] {
  return evidence.probes.flatMap((probe): readonly Finding[] => {
    const isShut = probe.hbone === 'timeout' && probe.app?.outcome === 'connected';
    const drops = isShut ? dropsFor(evidence, probe) : [];
    return drops.length === 0 ? [] : [findingOf(probe, drops)];
  });
}

/** Rules on the pod's node that have dropped something on its link. */
function dropsFor({ nodes, pods }: Evidence, { toUid }: HboneProbe): readonly string[] {
  const pod = pods.find((one) => one.pod.uid === toUid)?.pod;
  const node = nodes.find((one) => one.node.name === pod?.node);
  return (node?.policies ?? [])
    .filter(({ text, packets }) => packets > 0 && /\bdrop\b|-j DROP/i.test(text))
    .filter(({ label }) => label.includes(pod?.name ?? ''))
    .map(
      ({ chain, label, why, packets }) =>
        `rule      ${chain} "${label}": ${packets} packets. ${why}`,
    );
}

function findingOf(probe: HboneProbe, drops: readonly string[]): Finding {
  const { from, to, address, app, patienceMs } = probe;
  return {
    cause: 'policy-without-15008',
    at: to,
    text: "A NetworkPolicy lets the app's port in and drops port 15008, which the mesh comes in by",
    effect:
      'Requests from the mesh hang until they time out, except over tunnels that are open; pods outside get through.',
    evidence: [
      `packets   SYN ${from} → ${address}:15008 with mark 0x539: no answer in ${patienceMs} ms`,
      `packets   SYN ${from} → ${address}:${app?.port ?? '?'}: answered`,
      ...someOf(drops),
    ],
    mend: 'Admit TCP port 15008 from the same peers in every policy that selects pods of the mesh.',
  };
}
