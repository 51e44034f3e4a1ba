import type { Family, FamilyRules } from '../rule.ts';
import { rulesOfListing } from './listing.ts';
import type { ListedRule } from './listing.ts';

export interface SidecarOptions {
  /** Annotation sidecar.istio.io/interceptionMode. */
  readonly isTproxy: boolean;
  /** ISTIO_META_DNS_CAPTURE: the agent in the sidecar answers DNS. */
  readonly dnsCapture: boolean;
}

const IN_JUMP: ListedRule = [
  'nat -A PREROUTING -p tcp -j ISTIO_INBOUND',
  'TCP that arrives in the pod meets the rules of the sidecar.',
];

const IN_REDIRECT: ListedRule = [
  'nat -A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT',
  'Everything else that arrives goes to Envoy on 15006.',
];

const TO_PROXY: readonly ListedRule[] = [
  [
    'nat -A ISTIO_INBOUND -p tcp --dport 15008 -j RETURN',
    'HBONE is taken by a listener of Envoy itself: no redirect is needed.',
  ],
  [
    'nat -A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001',
    "Outbound connections end at Envoy's listener on 15001.",
  ],
  [
    'nat -A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006',
    "Inbound connections end at Envoy's listener on 15006.",
  ],
];

/** Ports of the sidecar itself, whatever the table. */
function ownPorts(table: 'nat' | 'mangle'): readonly ListedRule[] {
  return [
    [
      `${table} -A ISTIO_INBOUND -p tcp --dport 15020 -j RETURN`,
      'Merged metrics are served by the agent, not by the app behind Envoy.',
    ],
    [
      `${table} -A ISTIO_INBOUND -p tcp --dport 15021 -j RETURN`,
      'The health check of the sidecar is answered by the sidecar.',
    ],
    [
      `${table} -A ISTIO_INBOUND -p tcp --dport 15090 -j RETURN`,
      "Envoy's own metrics are scraped in plain text.",
    ],
  ];
}

const OUT_HEAD: readonly ListedRule[] = [
  ['nat -A OUTPUT -j ISTIO_OUTPUT', 'What the pod sends meets the rules of the sidecar.'],
  [
    'nat -A ISTIO_OUTPUT -p tcp --dport 15020 -j RETURN',
    'A scrape of merged metrics is not captured.',
  ],
  ['nat -A ISTIO_OUTPUT -p udp --dport 15020 -j RETURN', 'The same for UDP.'],
  [
    'nat -A ISTIO_OUTPUT -o lo -s 127.0.0.6/32 -j RETURN',
    'Envoy hands inbound traffic to the app from 127.0.0.6: that is on its way already.',
  ],
];

const OUT_TAIL: readonly ListedRule[] = [
  ['nat -A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN', 'Loopback is never captured.'],
  ['nat -A ISTIO_OUTPUT -j ISTIO_REDIRECT', 'Everything else goes to Envoy on 15001.'],
];

function ownerRules(owner: 'uid' | 'gid', dnsCapture: boolean): readonly ListedRule[] {
  const isWithoutDns = dnsCapture && owner === 'uid';
  const ports = isWithoutDns ? '-m multiport ! --dports 53,15008' : '! --dport 15008';
  const loopback = dnsCapture ? '-o lo -p tcp ! --dport 53' : '-o lo';
  const who = `--${owner}-owner 1337`;
  return [
    [
      `nat -A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ${ports} -m owner ${who} -j ISTIO_IN_REDIRECT`,
      'Envoy calls the own address of its pod (the app called itself by its service): inbound again.',
    ],
    [
      `nat -A ISTIO_OUTPUT ${loopback} -m owner ! ${who} -j RETURN`,
      'The app talks to itself over lo: not captured.',
    ],
    [
      `nat -A ISTIO_OUTPUT -m owner ${who} -j RETURN`,
      "Envoy's own connections leave, or it would talk to itself for ever.",
    ],
  ];
}

const DNS_NAT: readonly ListedRule[] = [
  ['nat -A ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS', 'Questions of the app may be for the agent.'],
  [
    'nat -A ISTIO_OUTPUT_DNS -p tcp --dport 53 -j REDIRECT --to-ports 15053',
    'DNS over TCP is answered by the agent.',
  ],
  [
    'nat -A ISTIO_OUTPUT_DNS -p udp --dport 53 -j REDIRECT --to-port 15053',
    'DNS over UDP is answered by the agent.',
  ],
];

const zone = (match: string, n: number): ListedRule => [
  `raw -A ${match} -j CT --zone ${n}`,
  "The app's redirected question and the agent's own are tracked apart, or they would collide.",
];

const DNS_RAW: readonly ListedRule[] = [
  ['raw -A OUTPUT -j ISTIO_OUTPUT_DNS', 'Questions are put into conntrack zones as they leave.'],
  zone('ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --uid-owner 1337', 1),
  zone('ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --uid-owner 1337', 2),
  zone('ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --gid-owner 1337', 1),
  zone('ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --gid-owner 1337', 2),
  ['raw -A PREROUTING -j ISTIO_INBOUND', 'Answers are put into conntrack zones as they arrive.'],
  zone('ISTIO_OUTPUT_DNS -p udp --dport 53', 2),
  zone('ISTIO_INBOUND -p udp --sport 53', 1),
];

const SPARED = 'What the proxy itself sends over lo, or sends back, is not inbound traffic.';

const TPROXY: readonly ListedRule[] = [
  [
    'mangle -A ISTIO_DIVERT -j MARK --set-mark 1337',
    'The mark sends the packet to table 133, which delivers it to the socket of Envoy.',
  ],
  ['mangle -A ISTIO_DIVERT -j ACCEPT', 'A packet of a known connection is done here.'],
  [
    'mangle -A ISTIO_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --tproxy-mark 1337/0xffffffff --on-port 15006',
    'Inbound connections are given to Envoy with the addresses as they were sent.',
  ],
  ['mangle -A PREROUTING -p tcp -j ISTIO_INBOUND', IN_JUMP[1]],
  ['mangle -A PREROUTING -p tcp -m mark --mark 1337 -j CONNMARK --save-mark', SPARED],
  ['mangle -A ISTIO_INBOUND -p tcp -m mark --mark 1337 -j RETURN', SPARED],
  ['mangle -A ISTIO_INBOUND -p tcp -s 127.0.0.6/32 -i lo -j RETURN', SPARED],
  ['mangle -A ISTIO_INBOUND -p tcp -i lo -m mark ! --mark 1338 -j RETURN', SPARED],
  ...ownPorts('mangle'),
  [
    'mangle -A ISTIO_INBOUND -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT',
    'Packets of connections that exist go to the socket that has them.',
  ],
  ['mangle -A ISTIO_INBOUND -p tcp -j ISTIO_TPROXY', 'Everything else is a new connection.'],
  [
    'mangle -A OUTPUT -p tcp -o lo -m mark --mark 1337 -j RETURN',
    "Envoy's connection to the app keeps its mark.",
  ],
  [
    'mangle -A OUTPUT ! -d 127.0.0.1/32 -p tcp -o lo -m owner --uid-owner 1337 -j MARK --set-mark 1338',
    'Envoy calling the own address of its pod is inbound traffic for it.',
  ],
  [
    'mangle -A OUTPUT ! -d 127.0.0.1/32 -p tcp -o lo -m owner --gid-owner 1337 -j MARK --set-mark 1338',
    'Envoy calling the own address of its pod is inbound traffic for it.',
  ],
  [
    'mangle -A OUTPUT -p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark',
    "The app's reply to a borrowed address stays in the pod.",
  ],
];

/**
 * Rules of an injected pod: `cni/pkg/plugin/testdata/{basic,tproxy,dns}.txt.golden` at Istio 1.30.3,
 * the same as istio-init's with defaults, in the order of each chain.
 */
export function sidecarRules(family: Family, options: SidecarOptions): FamilyRules {
  const { isTproxy, dnsCapture } = options;
  const nat: readonly ListedRule[] = [
    ...TO_PROXY,
    ...(isTproxy ? [] : [IN_JUMP, ...ownPorts('nat'), IN_REDIRECT]),
    ...OUT_HEAD,
    ...ownerRules('uid', dnsCapture),
    ...ownerRules('gid', dnsCapture),
    ...(dnsCapture ? DNS_NAT : []),
    ...OUT_TAIL,
  ];
  const listing = [...(isTproxy ? TPROXY : []), ...nat, ...(dnsCapture ? DNS_RAW : [])];
  const spelt = family === 'ipv4' ? listing : listing.map(asIpv6);
  return rulesOfListing(family, spelt);
}

function asIpv6([text, why]: ListedRule): ListedRule {
  return [text.replace('127.0.0.1/32', '::1/128').replace('127.0.0.6/32', '::6/128'), why];
}
