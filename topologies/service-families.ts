import type { IpFamily } from './ip.ts';
import { familyOf } from './ip.ts';
import type { Service } from './objects.ts';

/** Which families a service has, the first being that of its `clusterIP`. */
export type ServiceFamilies =
  | { readonly kind: 'families'; readonly families: readonly IpFamily[] }
  | {
      readonly kind: 'fault';
      readonly field: 'ipFamilyPolicy' | 'ipFamilies' | 'clusterIPs' | 'clusterIP';
      readonly message: string;
    };

/** Addresses a service asks for, in order: `clusterIPs`, or `clusterIP` alone. */
export function requestedClusterIps({ spec }: Service): readonly string[] {
  const alone = spec.clusterIP === undefined || spec.clusterIP === '' ? [] : [spec.clusterIP];
  return spec.clusterIPs ?? alone;
}

/** Whether a service has no address of its own. */
export function isHeadless(service: Service): boolean {
  return requestedClusterIps(service)[0] === 'None';
}

/**
 * The families kube-apiserver gives a service in a cluster with these (Kubernetes 1.20 and later,
 * `pkg/registry/core/service`): what `ipFamilies` or the addresses say, else the cluster's first;
 * the other one too where the policy asks for both and the cluster has both.
 */
export function familiesOfService(service: Service, cluster: readonly IpFamily[]): ServiceFamilies {
  const { ipFamilyPolicy, ipFamilies = [], clusterIP, clusterIPs } = service.spec;
  const fault = (field: FieldOfFault, message: string): ServiceFamilies => {
    return { kind: 'fault', field, message };
  };
  const asked = requestedClusterIps(service);
  if (clusterIP !== undefined && clusterIPs !== undefined && clusterIP !== clusterIPs[0]) {
    return fault('clusterIPs', 'The first of "clusterIPs" is not the "clusterIP"');
  }
  const ofAddresses = asked.flatMap((address) => familyOf(address) ?? []);
  const wished = ofAddresses.length > ipFamilies.length ? ofAddresses : ipFamilies;
  const field = wished === ipFamilies ? 'ipFamilies' : addressField(service);
  const differs = ofAddresses.some((family, index) => wished[index] !== family);
  if (differs) return fault('ipFamilies', 'The order of "ipFamilies" is not that of the addresses');
  if (new Set(wished).size < wished.length) {
    return fault(field, 'Want at most one of each family, IPv4 and IPv6');
  }
  const foreign = wished.find((family) => !cluster.includes(family));
  if (foreign !== undefined) {
    return fault(field, `Cannot use ${foreign}: the lab has "ipFamilies: [${cluster.join(', ')}]"`);
  }
  if (ipFamilyPolicy === 'RequireDualStack' && cluster.length < 2) {
    const message = 'Cannot require both families: want "ipFamilies" of the lab to have both';
    return fault('ipFamilyPolicy', message);
  }
  const isDual = ipFamilyPolicy !== undefined && ipFamilyPolicy !== 'SingleStack';
  if (wished.length === 2 && !isDual) {
    const message = 'Want "ipFamilyPolicy" PreferDualStack or RequireDualStack for two families';
    return fault(ipFamilyPolicy === undefined ? field : 'ipFamilyPolicy', message);
  }
  const first = wished[0] ?? cluster[0] ?? 'IPv4';
  const others = isDual ? cluster.filter((family) => family !== first) : [];
  return { kind: 'families', families: [first, ...others] };
}

type FieldOfFault = Extract<ServiceFamilies, { kind: 'fault' }>['field'];

function addressField({ spec }: Service): FieldOfFault {
  return spec.clusterIPs === undefined ? 'clusterIP' : 'clusterIPs';
}
