import {
  CHAIN_PREROUTING,
  HOST_PROBE_IPV4,
  HOST_PROBE_IPV6,
  INPOD_MARK,
  INPOD_MASK,
  INPOD_TPROXY_MARK,
  ZTUNNEL_DNS_PORT,
  ZTUNNEL_HBONE_PORT,
  ZTUNNEL_INBOUND_PLAINTEXT_PORT,
  ZTUNNEL_OUTBOUND_PORT,
} from '../constants.ts';
import { hostRules } from '../host-rules.ts';
import type { HostRelease } from '../host-rules.ts';
import { podRules } from '../pod-rules.ts';
import type { PodRulesOptions } from '../pod-rules.ts';
import { podRouting } from '../routing.ts';
import type { Family, FamilyRules, RuleSet } from '../rule.ts';
import { markText } from '../rule.ts';
import type { SavedRules } from '../saved.ts';
import { fixed, free, hostPrefix } from './candidate.ts';
import type { Candidate, Parameter } from './candidate.ts';
import { geneveSets } from './geneve.ts';
import { sidecarRules } from '../sidecar-rules.ts';

/**
 * Every rule set of Istio's that the text may be, virtual interfaces as the text has them. The
 * likelier stands first, for ties go to the first.
 */
export function candidatesFor(saved: SavedRules, family: Family): readonly Candidate[] {
  const virtualInterfaces = virtualInterfacesOf(saved);
  return [
    ...redirectPods(family, virtualInterfaces),
    ...tproxyPods(family),
    ...nodes(family),
    ...sidecars(family),
    ...(family === 'ipv4' ? geneveSets() : []),
  ];
}

const both = [true, false] as const;

function redirectPods(family: Family, interfaces: readonly string[]): readonly Candidate[] {
  return both.flatMap((dnsCapture) =>
    both.flatMap((isCaptured): readonly Candidate[] => {
      const options: PodRulesOptions = {
        era: 'inpod-redirect',
        dnsCapture,
        bypassInbound: !isCaptured,
        virtualInterfaces: interfaces,
      };
      const candidate = pod(family, options, '1.24 →', 'in-pod REDIRECT');
      if (isCaptured) return [candidate];
      const early = { ...candidate, releases: '1.24 – 1.28', rules: withoutMark(candidate.rules) };
      return [candidate, early];
    }),
  );
}

/** Ingress mode had no rule for ztunnel's own connections before istio/istio#58577 (December 2025). */
function withoutMark(rules: FamilyRules): FamilyRules {
  const isMark = ({ table, chain }: FamilyRules['rules'][number]): boolean =>
    table === 'mangle' && chain === CHAIN_PREROUTING;
  return { ...rules, rules: rules.rules.filter((rule) => !isMark(rule)) };
}

function tproxyPods(family: Family): readonly Candidate[] {
  return both.flatMap((dnsCapture) => {
    const options: PodRulesOptions = { era: 'inpod-tproxy', dnsCapture };
    const late = { ...options, tproxyRelease: '1.24' } as const;
    const title = 'in-pod TPROXY';
    return [
      pod(family, { ...options, tproxyRelease: '1.21' }, '1.21 – 1.23', title),
      ...both.map((isCaptured) => {
        const asked = { ...late, bypassInbound: !isCaptured };
        return pod(family, asked, '1.24, TPROXY asked for', title);
      }),
    ];
  });
}

function pod(family: Family, options: PodRulesOptions, releases: string, title: string): Candidate {
  const interfaces = options.virtualInterfaces ?? [];
  return {
    set: { kind: 'pod', era: options.era },
    title: `${title}, an enrolled pod`,
    releases,
    options: [
      { name: 'DNS capture', value: options.dnsCapture ? 'on' : 'off' },
      {
        name: 'inbound',
        value: options.bypassInbound === true ? 'bypassed (ingress annotation)' : 'captured',
      },
      ...(interfaces.length === 0
        ? []
        : [{ name: 'virtual interfaces', value: interfaces.join(', ') }]),
    ],
    rules: ofFamily(podRules({ ...options, ipv6: family === 'ipv6' }), family),
    parameters: inpodParameters(family),
    routing: podRouting(family),
  };
}

function inpodParameters(family: Family): readonly Parameter[] {
  return [
    free(hostPrefix(probeAddress(family), family), 'probe address'),
    fixed(markText(INPOD_MARK, INPOD_MASK), "mark of ztunnel's sockets"),
    fixed(markText(INPOD_TPROXY_MARK, INPOD_MASK), 'mark of borrowed addresses'),
    fixed(String(ZTUNNEL_OUTBOUND_PORT), 'outbound port'),
    fixed(String(ZTUNNEL_INBOUND_PLAINTEXT_PORT), 'inbound port'),
    fixed(String(ZTUNNEL_HBONE_PORT), 'HBONE port'),
    fixed(String(ZTUNNEL_DNS_PORT), 'DNS port'),
  ];
}

function probeAddress(family: Family): string {
  return family === 'ipv4' ? HOST_PROBE_IPV4 : HOST_PROBE_IPV6;
}

const HOST_RELEASES: readonly (readonly [HostRelease, string])[] = [
  ['1.27', '1.23 →'],
  ['1.21', '1.21 – 1.22'],
];

function nodes(family: Family): readonly Candidate[] {
  return HOST_RELEASES.filter(([release]) => family === 'ipv4' || release !== '1.21').map(
    ([release, releases]) => ({
      set: { kind: 'node', era: 'in-pod' },
      title: 'the node of in-pod redirect, its probes exempt',
      releases,
      options: [],
      rules: ofFamily(
        hostRules({ era: 'inpod-redirect', release, ipv6: family === 'ipv6' }),
        family,
      ),
      parameters: [free(probeAddress(family), 'probe address')],
      routing: [],
    }),
  );
}

function sidecars(family: Family): readonly Candidate[] {
  const loop = family === 'ipv4' ? '127.0.0.6/32' : '::6/128';
  const modes = both.map((isRedirect) => ({ isTproxy: !isRedirect }));
  return modes.flatMap(({ isTproxy }) =>
    [false, true].map((dnsCapture) => ({
      set: { kind: 'sidecar' },
      title: 'a sidecar (istio-init or istio-cni), an injected pod',
      releases: '1.30, and those before and after with the same rules',
      options: [
        { name: 'interception', value: isTproxy ? 'TPROXY' : 'REDIRECT' },
        { name: 'DNS capture', value: dnsCapture ? 'on' : 'off' },
      ],
      rules: sidecarRules(family, { isTproxy, dnsCapture }),
      parameters: [
        free('1337', 'user and group of the proxy'),
        fixed('15001', 'outbound port'),
        fixed('15006', 'inbound port'),
        fixed('15053', 'DNS port'),
        fixed(loop, 'address of the proxy towards the app'),
      ],
      routing: [],
    })),
  );
}

function ofFamily(rules: RuleSet, family: Family): FamilyRules {
  const found = rules.families.find((each) => each.family === family);
  return found ?? { family, rules: [] };
}

/** Interfaces whose TCP counts as outbound: annotation istio.io/reroute-virtual-interfaces. */
function virtualInterfacesOf(saved: SavedRules): readonly string[] {
  const nat = saved.tables.find(({ name }) => name === 'nat');
  const names = (nat?.rules ?? []).flatMap(({ chain, options }) => {
    const value = (flag: string): string | undefined =>
      options.find((option) => option.flag === flag)?.values[0];
    const isRerouted = chain === 'ISTIO_PRERT' && value('-j') === 'REDIRECT';
    const name = value('-i');
    return isRerouted && name !== undefined && /^[\w.:@][\w.:@-]{0,14}$/.test(name) ? [name] : [];
  });
  return [...new Set(names)].slice(0, 64);
}
