import { familyOf, type IpFamily } from '../../topologies/ip.ts';
import type { NodeAddresses, NodePlan, Plan, ServicePlan } from './plan.ts';

/** Something with an address, and one of the other family in a lab that has both. */
export interface Addressed {
  readonly address: string;
  readonly secondAddress?: string;
}

/** Families of a plan, the default one first; plans without the field are of IPv4. */
export function familiesOf(plan: Pick<Plan, 'ipFamilies'>): readonly IpFamily[] {
  return plan.ipFamilies ?? ['IPv4'];
}

/** Whether anything in the lab has an IPv6 address. */
export function hasIpv6(plan: Pick<Plan, 'ipFamilies'>): boolean {
  return familiesOf(plan).includes('IPv6');
}

/** Every address of something, its first family's first. */
export function addressesOf({ address, secondAddress }: Addressed): readonly string[] {
  return secondAddress === undefined ? [address] : [address, secondAddress];
}

/** Its address of that family, if it has one. */
export function addressOf(one: Addressed, family: IpFamily): string | undefined {
  return addressesOf(one).find((address) => familyOf(address) === family);
}

/** Addresses of a service, none for a headless one. */
export function vipsOf({ vip, secondVip }: ServicePlan): readonly string[] {
  return [vip, secondVip].filter((one) => one !== undefined);
}

/** What a node has in each family, its first family first. */
export function nodeAddresses(node: NodePlan): readonly NodeAddresses[] {
  return node.second === undefined ? [node] : [node, node.second];
}

/** What a node has in that family, if the lab has it. */
export function nodeIn(node: NodePlan, family: IpFamily): NodeAddresses | undefined {
  return nodeAddresses(node).find(({ address }) => familyOf(address) === family);
}

/** `/32` or `/128`: the prefix of a single host. */
export function asHost(address: string): string {
  return `${address}/${familyOf(address) === 'IPv6' ? 128 : 32}`;
}
