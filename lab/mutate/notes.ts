import type { Era } from '../../dataplane/redirect/era.ts';

/**
 * What runs of `mutate` have shown of an era that no single row says, each with how it can be seen
 * again. Facts that were measured before with other programs in the place of ztunnel are named where
 * these say otherwise.
 */
const NOTES: Readonly<Partial<Record<Era, readonly string[]>>> = {
  geneve: [
    'node1 has the clients, node2 the pods that they ask: a thing that only one side needs shows on ' +
      'that node alone.',
    'Of a captured connection only the SYN crosses a tunnel, in all kinds of traffic tried: same node, ' +
      'other node, service, plain text in and out. It is the connmark 0x210, saved in FORWARD as the ' +
      'SYN-ACK passes, that takes the rest past it.',
    'The node itself is the exception: its probe of a pod is to go past the tunnel (mangle ' +
      'ztunnel-OUTPUT), but 1.20 asks with --socket-exists, and the last ACK of a connection that the ' +
      'prober has closed has no socket any more (seen with Linux 6.18). It goes through istioin to ' +
      'ztunnel, which answers RST; where ztunnel does not answer, each FIN that the pod repeats sends ' +
      'one more (nine in 40 s). With the rules of 1.18 and 1.19, which lack the condition, none does.',
    'That answers to such a probe are known by connmark 0x220 does not hold: nothing saves the mark ' +
      'of OUTPUT (ztunnel-POSTROUTING is empty, FORWARD and INPUT are not passed on the way out). They ' +
      'come back as they are addressed to the node itself, which routing settles before any mark.',
    'A node port that is asked at the pod’s own node fails with nothing changed: kube-proxy hides the ' +
      'client behind 192.168.126.1, the address of the tunnel the route leads into, and ztunnel’s answer ' +
      'in that name ends on the node. The probe asks the other node.',
  ],
};

/** Notes on a whole run. */
export function notesOf(era: Era): readonly string[] {
  return NOTES[era] ?? [];
}
