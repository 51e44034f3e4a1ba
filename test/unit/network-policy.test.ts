import t from 'tap';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { clusterOf, initialState } from '../../lab/policy/cluster.ts';
import { generatePolicies } from '../../lab/policy/generate.ts';
import { NOTHING_PRESENT, renderIptables } from '../../lab/policy/render-iptables.ts';
import { renderNft } from '../../lab/policy/render-nft.ts';
import {
  isSelected,
  policyTypesOf,
  type NetworkPolicySpec,
} from '../../topologies/network-policy.ts';
import { parseTopology } from '../../topologies/load.ts';

const TOPOLOGY = `
name: np
nodes: [node1]
namespaces: { a: {}, b: { labels: { team: red } } }
workloads:
  web: { namespace: a, app: http, port: 8080 }
  one: { namespace: a }
  two: { namespace: b }
`;

function generate(spec: NetworkPolicySpec, cni = 'ptp', ipFamilies = '[IPv4]') {
  const text = `${TOPOLOGY}ipFamilies: ${ipFamilies}\n`;
  const plan = planLab(parseTopology(text, 't.yaml'), { cni });
  const policy = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'p', namespace: 'a' },
    spec,
  } as const;
  const address = (name: string) => plan.pods.find((pod) => pod.name === name)!.address;
  const state = { ...initialState(plan), policies: [policy] };
  return { policies: generatePolicies(clusterOf(plan, state), 'node1'), address };
}

const WEB = { matchLabels: { app: 'web' } };

t.test('isSelected() reads labels as Kubernetes does', async (t) => {
  const expression = (operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist', values?: string[]) => ({
    matchExpressions: [{ key: 'k', operator, ...(values && { values }) }],
  });
  t.ok(isSelected({}, {}), 'no wish takes all');
  t.notOk(isSelected(WEB, { app: 'other' }));
  t.ok(isSelected(expression('In', ['v']), { k: 'v' }));
  t.notOk(isSelected(expression('In', ['v']), {}));
  t.ok(isSelected(expression('NotIn', ['v']), {}), 'an absent label is not in');
  t.notOk(isSelected(expression('NotIn', ['v']), { k: 'v' }));
  t.notOk(isSelected(expression('Exists'), { toString: '' }));
  t.ok(isSelected(expression('DoesNotExist'), {}));
});

t.test('policyTypesOf() adds Egress only where there are rules for it', async (t) => {
  const typesOf = (spec: NetworkPolicySpec) =>
    policyTypesOf({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'p' },
      spec,
    });
  t.same(typesOf({ podSelector: {} }), ['Ingress']);
  t.same(typesOf({ podSelector: {}, egress: [{}] }), ['Ingress', 'Egress']);
  t.same(typesOf({ podSelector: {}, policyTypes: ['Egress'] }), ['Egress']);
});

t.test('generatePolicies() isolates whom a policy selects, and nobody else', async (t) => {
  const { policies, address } = generate({
    podSelector: WEB,
    ingress: [
      {
        from: [
          { namespaceSelector: { matchLabels: { team: 'red' } } },
          { ipBlock: { cidr: '10.0.0.0/8', except: ['10.9.0.0/16'] } },
        ],
        ports: [{ port: 8000, endPort: 8080 }],
      },
    ],
  });
  const nft = renderNft(policies);
  t.match(nft, `ip saddr ${address('two')}/32 tcp dport 8000-8080 counter accept`);
  t.notMatch(nft, `ip saddr ${address('one')}/32`, 'of another namespace than it names');
  t.match(nft, /ip saddr 10\.9\.0\.0\/16 counter return/, 'except');
  t.match(nft, /oifname "v-web" counter jump NP-TO-v-web/);
  t.notMatch(nft, 'NP-TO-v-one');
  t.notMatch(nft, 'NP-FROM-', 'not isolated for egress');
  const iptables = renderIptables(policies, NOTHING_PRESENT);
  t.match(iptables, `-s ${address('two')}/32 -p tcp -m tcp --dport 8000:8080`);
  t.match(iptables, '-A FORWARD -j NP-FORWARD');
  t.ok(
    policies.rules.every(({ why }) => why.length > 0),
    'each rule has its reason',
  );
  t.match(renderNft(generate({ podSelector: WEB }, 'bridge').policies), /oifname "cni0" ip daddr/);
});

t.test(
  'generatePolicies() has a rule for each address of a pod in a lab of two families',
  async (t) => {
    const spec: NetworkPolicySpec = {
      podSelector: WEB,
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'one' } } }] }],
    };
    const { policies } = generate(spec, 'bridge', '[IPv4, IPv6]');
    const nft = renderNft(policies);
    t.match(nft, /ip saddr 10\.244\.1\.\d+\/32 counter accept/);
    t.match(nft, /ip6 saddr fd00:10:244:1::\d+\/128 counter accept/);
    t.match(nft, /icmpv6 type 135 counter accept/, 'pods of one bridge find each other');
    const [ipv4, ipv6] = (['ipv4', 'ipv6'] as const).map((family) =>
      renderIptables(policies, NOTHING_PRESENT, family),
    );
    t.notMatch(ipv4, 'fd00:');
    t.notMatch(ipv4, 'icmp');
    t.notMatch(ipv6, '10.244.');
    t.match(ipv6, /-p ipv6-icmp -m icmp6 --icmpv6-type 136/);
    const chains = (text = ''): readonly string[] => text.split('\n').filter((l) => l[0] === ':');
    t.same(chains(ipv4), chains(ipv6), 'what jumps into a chain is the same in both');
    t.notMatch(renderNft(generate(spec, 'ptp', '[IPv4, IPv6]').policies), 'icmpv6', 'routed pods');
  },
);

t.test('renderers take away what was there when no policy is left', async (t) => {
  const nothing = { node: 'node1', rules: [] };
  const present = { chains: ['NP-FORWARD'], jumps: ['NP-FORWARD'] };
  t.match(renderIptables(nothing, present), '-D FORWARD -j NP-FORWARD\n-X NP-FORWARD');
  t.notMatch(renderNft(nothing), 'chain');
});

t.test('planLab() refuses what does not go together, with the reason', async (t) => {
  const topology = parseTopology(TOPOLOGY, 't.yaml');
  t.throws(() => planLab(topology, { era: 'geneve', cni: 'bridge' }), /not veth implemented CNI/);
  t.equal(planLab(topology, { era: 'inpod-redirect', cni: 'bridge' }).cni, 'bridge', 'control');
});
