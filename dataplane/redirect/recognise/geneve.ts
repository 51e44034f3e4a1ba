import { GENEVE_PORT } from '../geneve-constants.ts';
import { geneveNodeRules } from '../geneve-node.ts';
import { geneveZtunnelRules } from '../geneve-ztunnel.ts';
import type { FamilyRules, RuleSet } from '../rule.ts';
import { free } from './candidate.ts';
import type { Candidate, Parameter } from './candidate.ts';

/** Stand-ins for what differs from node to node (RFC 5737); the text says what it is really. */
const ZTUNNEL = '192.0.2.1';
const HOST = '192.0.2.2';
const LINK = 'ztunnel-veth';

const PARAMETERS: readonly Parameter[] = [
  free(LINK, "link to ztunnel's pod"),
  free(`${ZTUNNEL}/32`, 'address of ztunnel'),
  free(`${ZTUNNEL}:15053`, "ztunnel's DNS"),
  free(`${HOST}/32`, 'address of the node'),
  free(String(GENEVE_PORT), 'port of the tunnels'),
];

/** The node and the ztunnel pod of the node-level redirect. */
export function geneveSets(): readonly Candidate[] {
  const addresses = { hostAddress: HOST, ztunnelAddress: ZTUNNEL };
  const nodes = (['1.20', '1.19', '1.18'] as const).flatMap((release) =>
    [false, true].map((dnsCapture): Candidate => {
      const rules = geneveNodeRules({ ...addresses, release, dnsCapture, ztunnelLink: LINK });
      return {
        set: { kind: 'node', era: 'geneve' },
        title: 'node-level redirect with Geneve, a node',
        releases: release,
        options: [{ name: 'DNS capture', value: dnsCapture ? 'on' : 'off' }],
        rules: first(rules),
        parameters: PARAMETERS,
        routing: [],
      };
    }),
  );
  const pod: Candidate = {
    set: { kind: 'ztunnel-pod', era: 'geneve' },
    title: 'node-level redirect with Geneve, the pod of ztunnel',
    releases: '1.18 – 1.20',
    options: [],
    rules: first(geneveZtunnelRules(addresses)),
    parameters: PARAMETERS,
    routing: [],
  };
  return [...nodes, pod];
}

function first({ families }: RuleSet): FamilyRules {
  return families[0] ?? { family: 'ipv4', rules: [] };
}
