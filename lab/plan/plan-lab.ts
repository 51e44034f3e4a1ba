import { ERAS, IPTABLES_BACKENDS, TPROXY_RELEASES } from '../../dataplane/redirect/era.ts';
import type { Era, IptablesBackend } from '../../dataplane/redirect/era.ts';
import {
  DEFAULT_GENEVE_RELEASE,
  GENEVE_RELEASES,
} from '../../dataplane/redirect/geneve-constants.ts';
import { TUNNEL_KINDS } from '../../dataplane/tunnels/tunnel.ts';
import { CNI_NAMES, type CniName } from '../../topologies/cni.ts';
import { scenarioInEra } from '../../topologies/era-expectations.ts';
import { nearest } from '../../topologies/nearest.ts';
import { familiesProblem } from '../../topologies/check-short-form.ts';
import type { ReleaseName } from '../../topologies/era.ts';
import type { IpFamily } from '../../topologies/ip.ts';
import { DNS_SERVICE_IPS } from '../../topologies/ranges.ts';
import type { Topology } from '../../topologies/topology.ts';
import { OUTSIDE_ADDRESSES, planNodes } from './addressing.ts';
import { PlanError } from './errors.ts';
import { checkFlavours } from './flavours.ts';
import { planGuests } from './guests.ts';
import { planNetns } from './netns.ts';
import { peerAuthenticationsOf } from './peer-authentication.ts';
import { policiesOfPeerAuthentication } from './peer-authentication-policies.ts';
import type { OutsidePlan, Plan } from './plan.ts';
import { namedPortsOf, planPods } from './pods.ts';
import { planServices } from './services.ts';
import { withSidecars } from './sidecars.ts';

export interface PlanOptions {
  /** Name of the lab; the topology's own when absent. */
  readonly lab?: string;
  /** Era instead of the topology's. */
  readonly era?: string;
  /** Flavour of the primary CNI instead of the topology's. */
  readonly cni?: string;
  /** Backend of iptables instead of the topology's. */
  readonly iptables?: string;
  /** How tunnels of era geneve are made; the best that the machine has when absent. */
  readonly tunnels?: string;
  /** Whether ztunnel answers DNS, instead of what the topology says. */
  readonly dnsCapture?: boolean;
  /** A second pod for the ztunnel of each node: one can take over from the other (`Lab.surge`). */
  readonly spareZtunnels?: boolean;
}

/**
 * Decides every name, address, route, rule and process of a lab. The same topology gives the same
 * plan, byte for byte, on every machine.
 * @throws {PlanError} LAB_PLAN_CONFLICT when addresses collide or run out, LAB_UNKNOWN_ERA,
 *   LAB_UNKNOWN_CNI.
 */
export function planLab(topology: Topology, options: PlanOptions = {}): Plan {
  const { objects, ipFamilies } = topology;
  const iptables = options.iptables === undefined ? topology.iptables : backendOf(options.iptables);
  const cni = options.cni === undefined ? topology.cni : cniOf(options.cni);
  const era = options.era === undefined ? topology.era : eraOf(options.era);
  checkFlavours(topology, era, cni);
  const problem = familiesProblem({ era, ipFamilies });
  if (problem !== undefined) throw new PlanError('LAB_PLAN_CONFLICT', 'IPv6', problem);
  const nodes = planNodes(topology.nodes, ipFamilies, options);
  const pods = withSidecars(planPods(objects, nodes), objects, topology.proxyMetadata);
  const guests = planGuests(pods, ipFamilies);
  const services = planServices(objects, pods, { namedPorts: namedPortsOf(objects), ipFamilies });
  const [dnsServiceIp, secondDnsServiceIp] = ipFamilies.map((family) => DNS_SERVICE_IPS[family]);
  return {
    lab: options.lab ?? topology.name,
    topologyFile: topology.file,
    era,
    ...releaseIn(era, topology.release),
    ...tunnelsIn(era, options.tunnels),
    dnsCapture: options.dnsCapture ?? topology.dnsCapture ?? era !== 'geneve',
    ...(iptables === undefined ? {} : { iptables }),
    cni,
    networkPolicy: topology.networkPolicy,
    clusterDomain: 'cluster.local',
    trustDomain: 'cluster.local',
    dnsServiceIp: dnsServiceIp!,
    ...(secondDnsServiceIp === undefined ? {} : { secondDnsServiceIp }),
    ...(ipFamilies.join() === 'IPv4' ? {} : { ipFamilies }),
    ...planNetns({ nodes, pods, guests, services, cni, ipFamilies }),
    nodes,
    pods,
    ...(guests.length === 0 ? {} : { guests }),
    outside: planOutside(ipFamilies),
    services,
    policies: [
      ...topology.policies,
      ...policiesOfPeerAuthentication(peerAuthenticationsOf(objects)),
    ],
    objects,
    capture: topology.capture,
    scenarios: topology.scenarios.map((scenario) => scenarioInEra(scenario, era)),
  };
}

/** The release of a topology, where it is one of the era's. */
function releaseIn(
  era: Era,
  wish: ReleaseName | undefined,
): Pick<Plan, 'release' | 'tproxyRelease'> {
  if (era === 'geneve') {
    const release = GENEVE_RELEASES.find((one) => one === wish) ?? DEFAULT_GENEVE_RELEASE;
    return { release };
  }
  const tproxyRelease = TPROXY_RELEASES.find((one) => one === wish);
  return era === 'inpod-tproxy' && tproxyRelease !== undefined ? { tproxyRelease } : {};
}

/** It serves too, so that requests that leave the cluster find somebody. */
function planOutside(ipFamilies: readonly IpFamily[]): OutsidePlan {
  const [address, secondAddress] = ipFamilies.map((family) => OUTSIDE_ADDRESSES[family]);
  return {
    netns: 'outside',
    address: address!,
    ...(secondAddress === undefined ? {} : { secondAddress }),
    apps: [
      { kind: 'http', port: 8080, version: 'v1' },
      { kind: 'tcp-echo', port: 9000 },
      { kind: 'udp-echo', port: 9000 },
    ],
  };
}

function eraOf(name: string): Era {
  const era = ERAS.find((one) => one === name);
  if (era !== undefined) return era;
  const message = `Cannot plan era "${name}": want one of ${ERAS.join(', ')}`;
  throw new PlanError('LAB_UNKNOWN_ERA', name, message, nearest(name, ERAS));
}

function backendOf(name: string): IptablesBackend {
  const backend = IPTABLES_BACKENDS.find((one) => one === name);
  if (backend !== undefined) return backend;
  const message = `Cannot plan iptables "${name}": want one of ${IPTABLES_BACKENDS.join(', ')}`;
  throw new PlanError('LAB_UNKNOWN_IPTABLES', name, message, nearest(name, IPTABLES_BACKENDS));
}

/** In the eras without tunnels nobody may wish for some. */
function tunnelsIn(era: Era, name: string | undefined): Pick<Plan, 'tunnels'> {
  if (name === undefined) return {};
  const tunnels = TUNNEL_KINDS.find((one) => one === name);
  if (tunnels === undefined) {
    const message = `Cannot plan tunnels "${name}": want one of ${TUNNEL_KINDS.join(', ')}`;
    throw new PlanError('LAB_UNKNOWN_TUNNELS', name, message, nearest(name, TUNNEL_KINDS));
  }
  if (era === 'geneve') return { tunnels };
  const message = `Cannot plan tunnels "${name}" in era "${era}": only era "geneve" has tunnels`;
  throw new PlanError('LAB_PLAN_CONFLICT', name, message);
}

function cniOf(name: string): CniName {
  const cni = CNI_NAMES.find((one) => one === name);
  if (cni !== undefined) return cni;
  const message = `Cannot plan CNI "${name}": want one of ${CNI_NAMES.join(', ')}`;
  throw new PlanError('LAB_UNKNOWN_CNI', name, message, nearest(name, CNI_NAMES));
}
