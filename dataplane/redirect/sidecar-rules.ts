import type { ListedRule } from './recognise/listing.ts';
import { rulesOfListing } from './recognise/listing.ts';
import type { Family, FamilyRules } from './rule.ts';
import { SIDECAR_UID } from './sidecar-constants.ts';
import type { SidecarOptions } from './sidecar-options.ts';
import { checkSidecarOptions, OWN_INBOUND_PORTS, OWN_OUTBOUND_PORTS } from './sidecar-options.ts';

const IN_JUMP = 'TCP that arrives in the pod meets the rules of the sidecar.';

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

const WHY_NOT_INBOUND: Readonly<Record<number, string>> = {
  15020: 'Merged metrics are served by the agent, not by the app behind Envoy.',
  15021: 'The health check of the sidecar is answered by the sidecar.',
  15090: "Envoy's own metrics are scraped in plain text.",
};

/** What is captured of what arrives; the mangle table is that of TPROXY. */
function inboundRules(table: 'nat' | 'mangle', options: SidecarOptions): readonly ListedRule[] {
  const { includeInboundPorts: included = '*' } = options;
  const chain = `${table} -A ISTIO_INBOUND -p tcp`;
  const take = (port: string, why: string): readonly ListedRule[] =>
    table === 'nat'
      ? [[`${chain}${port} -j ISTIO_IN_REDIRECT`, why]]
      : [
          [
            `${chain}${port} -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT`,
            'Packets of connections that exist go to the socket that has them.',
          ],
          [`${chain}${port} -j ISTIO_TPROXY`, why],
        ];
  if (included !== '*') {
    return included.flatMap((port) =>
      take(` --dport ${port}`, `Port ${port} is one of those whose inbound traffic Envoy takes.`),
    );
  }
  return [
    ...(options.excludeInboundPorts ?? OWN_INBOUND_PORTS).map((port): ListedRule => [
      `${chain} --dport ${port} -j RETURN`,
      WHY_NOT_INBOUND[port] ?? `Inbound port ${port} is excluded: it reaches the app itself.`,
    ]),
    ...take('', 'Everything else that arrives goes to Envoy on 15006.'),
  ];
}

/** Everything in front of the rules about who sends. */
function outboundHead(options: SidecarOptions): readonly ListedRule[] {
  const ports = options.excludeOutboundPorts ?? OWN_OUTBOUND_PORTS;
  return [
    ['nat -A OUTPUT -j ISTIO_OUTPUT', 'What the pod sends meets the rules of the sidecar.'],
    ...ports.flatMap((port): readonly ListedRule[] => [
      [
        `nat -A ISTIO_OUTPUT -p tcp --dport ${port} -j RETURN`,
        port === 15020
          ? 'A scrape of merged metrics is not captured.'
          : `Outbound port ${port} is excluded: the app reaches it itself.`,
      ],
      [`nat -A ISTIO_OUTPUT -p udp --dport ${port} -j RETURN`, 'The same for UDP.'],
    ]),
    [
      'nat -A ISTIO_OUTPUT -o lo -s 127.0.0.6/32 -j RETURN',
      'Envoy hands inbound traffic to the app from 127.0.0.6: that is on its way already.',
    ],
  ];
}

/** Which destinations are captured, at the end of the chain. */
function outboundTail(family: Family, options: SidecarOptions): readonly ListedRule[] {
  const { includeOutboundRanges: included = '*' } = options;
  const isOfFamily = (range: string): boolean => range.includes(':') === (family === 'ipv6');
  const excluded = (options.excludeOutboundRanges ?? []).filter(isOfFamily);
  const ranges = included === '*' ? [] : included.filter(isOfFamily);
  return [
    ['nat -A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN', 'Loopback is never captured.'],
    ...excluded.map((range): ListedRule => [
      `nat -A ISTIO_OUTPUT -d ${range} -j RETURN`,
      `${range} is excluded: the app reaches it itself.`,
    ]),
    ...(options.includeOutboundPorts ?? []).map((port): ListedRule => [
      `nat -A ISTIO_OUTPUT -p tcp --dport ${port} -j ISTIO_REDIRECT`,
      `Port ${port} is captured wherever it leads.`,
    ]),
    ...(included === '*'
      ? ([
          ['nat -A ISTIO_OUTPUT -j ISTIO_REDIRECT', 'Everything else goes to Envoy on 15001.'],
        ] as const)
      : []),
    ...ranges.map((range): ListedRule => [
      `nat -A ISTIO_OUTPUT -d ${range} -j ISTIO_REDIRECT`,
      `${range} is one of the ranges that Envoy is to see.`,
    ]),
  ];
}

function ownerRules(owner: 'uid' | 'gid', options: SidecarOptions): readonly ListedRule[] {
  const { dnsCapture, includeOutboundRanges = '*' } = options;
  const isWithoutDns = dnsCapture && owner === 'uid';
  const ports = isWithoutDns ? '-m multiport ! --dports 53,15008' : '! --dport 15008';
  const loopback = dnsCapture ? '-o lo -p tcp ! --dport 53' : '-o lo';
  const who = `--${owner}-owner ${options[owner] ?? SIDECAR_UID}`;
  const takesLoopback = includeOutboundRanges !== '*' && includeOutboundRanges.some(isLoopback);
  return [
    [
      `nat -A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ${ports} -m owner ${who} -j ISTIO_IN_REDIRECT`,
      'Envoy calls the own address of its pod (the app called itself by its service): inbound again.',
    ],
    ...(takesLoopback
      ? []
      : ([
          [
            `nat -A ISTIO_OUTPUT ${loopback} -m owner ! ${who} -j RETURN`,
            'The app talks to itself over lo: not captured.',
          ],
        ] as const)),
    [
      `nat -A ISTIO_OUTPUT -m owner ${who} -j RETURN`,
      "Envoy's own connections leave, or it would talk to itself for ever.",
    ],
  ];
}

function isLoopback(range: string): boolean {
  return range.startsWith('127.') || range.startsWith('::1/');
}

function dnsNat(servers: readonly string[] | undefined): readonly ListedRule[] {
  const whither = servers?.map((ip) => ` -d ${ip}/${ip.includes(':') ? 128 : 32}`) ?? [''];
  if (whither.length === 0) return [];
  return [
    ['nat -A ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS', 'Questions of the app may be for the agent.'],
    ...whither.map((to): ListedRule => [
      `nat -A ISTIO_OUTPUT_DNS -p tcp --dport 53${to} -j REDIRECT --to-ports 15053`,
      'DNS over TCP is answered by the agent.',
    ]),
    ...whither.map((to): ListedRule => [
      `nat -A ISTIO_OUTPUT_DNS -p udp --dport 53${to} -j REDIRECT --to-port 15053`,
      'DNS over UDP is answered by the agent.',
    ]),
  ];
}

const zone = (match: string, n: number): ListedRule => [
  `raw -A ${match} -j CT --zone ${n}`,
  "The app's redirected question and the agent's own are tracked apart, or they would collide.",
];

function dnsRaw(options: SidecarOptions): readonly ListedRule[] {
  const { dnsServers: servers, uid = SIDECAR_UID, gid = SIDECAR_UID } = options;
  const whither = servers?.map((ip) => ` -d ${ip}/${ip.includes(':') ? 128 : 32}`) ?? [''];
  const whence = servers?.map((ip) => ` -s ${ip}/${ip.includes(':') ? 128 : 32}`) ?? [''];
  if (whither.length === 0) return [];
  return [
    ['raw -A OUTPUT -j ISTIO_OUTPUT_DNS', 'Questions are put into conntrack zones as they leave.'],
    zone(`ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --uid-owner ${uid}`, 1),
    zone(`ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --uid-owner ${uid}`, 2),
    zone(`ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --gid-owner ${gid}`, 1),
    zone(`ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --gid-owner ${gid}`, 2),
    ['raw -A PREROUTING -j ISTIO_INBOUND', 'Answers are put into conntrack zones as they arrive.'],
    ...whither.map((to) => zone(`ISTIO_OUTPUT_DNS -p udp --dport 53${to}`, 2)),
    ...whence.map((from) => zone(`ISTIO_INBOUND -p udp --sport 53${from}`, 1)),
  ];
}

const SPARED = 'What the proxy itself sends over lo, or sends back, is not inbound traffic.';

function tproxyRules(options: SidecarOptions): readonly ListedRule[] {
  const { uid = SIDECAR_UID, gid = SIDECAR_UID } = options;
  const own = (owner: string): ListedRule => [
    `mangle -A OUTPUT ! -d 127.0.0.1/32 -p tcp -o lo -m owner ${owner} -j MARK --set-mark 1338`,
    'Envoy calling the own address of its pod is inbound traffic for it.',
  ];
  return [
    [
      'mangle -A ISTIO_DIVERT -j MARK --set-mark 1337',
      'The mark sends the packet to table 133, which delivers it to the socket of Envoy.',
    ],
    ['mangle -A ISTIO_DIVERT -j ACCEPT', 'A packet of a known connection is done here.'],
    [
      'mangle -A ISTIO_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --tproxy-mark 1337/0xffffffff --on-port 15006',
      'Inbound connections are given to Envoy with the addresses as they were sent.',
    ],
    ['mangle -A PREROUTING -p tcp -j ISTIO_INBOUND', IN_JUMP],
    [
      'mangle -A PREROUTING -p tcp -m mark --mark 1337 -j CONNMARK --save-mark',
      "The mark of Envoy's connection to the app is remembered for the app's replies.",
    ],
    ['mangle -A ISTIO_INBOUND -p tcp -m mark --mark 1337 -j RETURN', SPARED],
    ['mangle -A ISTIO_INBOUND -p tcp -s 127.0.0.6/32 -i lo -j RETURN', SPARED],
    ['mangle -A ISTIO_INBOUND -p tcp -i lo -m mark ! --mark 1338 -j RETURN', SPARED],
    ...inboundRules('mangle', options),
    [
      'mangle -A OUTPUT -p tcp -o lo -m mark --mark 1337 -j RETURN',
      "Envoy's connection to the app keeps its mark.",
    ],
    own(`--uid-owner ${uid}`),
    own(`--gid-owner ${gid}`),
    [
      'mangle -A OUTPUT -p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark',
      "The app's reply to a borrowed address stays in the pod.",
    ],
  ];
}

function dropInvalidRules(): readonly ListedRule[] {
  return [
    [
      'mangle -A PREROUTING -m conntrack --ctstate INVALID -j ISTIO_DROP',
      'A packet that belongs to no connection would reach the app past Envoy.',
    ],
    ['mangle -A ISTIO_DROP -j DROP', 'It is dropped before anything looks at it.'],
  ];
}

function excludedInterfaces(options: SidecarOptions): readonly ListedRule[] {
  const why = 'Traffic of this interface is not the business of the sidecar.';
  return (options.excludeInterfaces ?? []).flatMap((name): readonly ListedRule[] => [
    [`nat -A PREROUTING -i ${name} -j RETURN`, why],
    [`nat -A OUTPUT -o ${name} -j RETURN`, why],
    ...(options.isTproxy
      ? ([
          [`mangle -A PREROUTING -i ${name} -j RETURN`, why],
          [`mangle -A OUTPUT -o ${name} -j RETURN`, why],
        ] as const)
      : []),
  ]);
}

/**
 * Rules of an injected pod, those of istio-init (`tools/istio-iptables/pkg/capture/run.go` and
 * `cni/pkg/plugin/testdata` at Istio 1.30.3), in the order of each chain.
 * @throws {RedirectOptionsError}
 */
export function sidecarRules(family: Family, options: SidecarOptions): FamilyRules {
  checkSidecarOptions(options);
  const { isTproxy, dnsCapture, includeInboundPorts = '*' } = options;
  const isInboundTaken = includeInboundPorts === '*' || includeInboundPorts.length > 0;
  const servers = options.dnsServers?.filter((ip) => ip.includes(':') === (family === 'ipv6'));
  const dns = { ...options, ...(servers && { dnsServers: servers }) };
  const nat: readonly ListedRule[] = [
    ...TO_PROXY,
    ...(options.virtualInterfaces ?? []).map((name): ListedRule => [
      `nat -A PREROUTING -i ${name} -j ISTIO_REDIRECT`,
      `What a machine behind ${name} sends is outbound traffic of the pod.`,
    ]),
    ...(isTproxy || !isInboundTaken
      ? []
      : [
          ['nat -A PREROUTING -p tcp -j ISTIO_INBOUND', IN_JUMP] as const,
          ...inboundRules('nat', options),
        ]),
    ...outboundHead(options),
    ...ownerRules('uid', options),
    ...ownerRules('gid', options),
    ...(dnsCapture ? dnsNat(servers) : []),
    ...outboundTail(family, options),
  ];
  const listing = [
    ...(options.dropInvalid === true ? dropInvalidRules() : []),
    ...excludedInterfaces(options),
    ...(isTproxy ? tproxyRules(options) : []),
    ...nat,
    ...(dnsCapture ? dnsRaw(dns) : []),
  ];
  return rulesOfListing(family, family === 'ipv4' ? listing : listing.map(asIpv6));
}

function asIpv6([text, why]: ListedRule): ListedRule {
  return [text.replace('127.0.0.1/32', '::1/128').replace('127.0.0.6/32', '::6/128'), why];
}
