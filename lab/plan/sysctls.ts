import type { CniName } from '../../topologies/cni.ts';
import type { IpFamily } from '../../topologies/ip.ts';
import type { NetnsRole } from './plan.ts';

/**
 * Settings of a fresh netns that decide what happens to packets. Fresh namespaces inherit IPv4
 * settings of the machine on some kernels (`net.core.devconf_inherit_init_net`), so each is set.
 * The order counts: `ip_forward` resets others, `all` overwrites what existing links have.
 */
export function sysctlsOf(
  role: NetnsRole,
  ipFamilies: readonly IpFamily[] = ['IPv4'],
  isRouter = role === 'node',
): Readonly<Record<string, string>> {
  const isIpv6 = role !== 'fabric' && ipFamilies.includes('IPv6');
  const perLink: readonly (readonly [string, string])[] = [
    // Spoofed sources and asymmetric paths must not be dropped by the kernel on some machines.
    ['rp_filter', '0'],
    ['accept_local', '0'],
    ['route_localnet', '0'],
    ['src_valid_mark', '0'],
    ['send_redirects', '0'],
    ['accept_redirects', '0'],
    ['arp_ignore', '0'],
    ['arp_announce', '0'],
    ['arp_filter', '0'],
    ['proxy_arp', '0'],
    ['forwarding', isRouter ? '1' : '0'],
  ];
  const links = ['all', 'default'].flatMap((link) =>
    perLink.map(([key, value]): [string, string] => [`net.ipv4.conf.${link}.${key}`, value]),
  );
  return Object.fromEntries([
    ['net.ipv4.ip_forward', isRouter ? '1' : '0'],
    ...links,
    // A lab of IPv4: links made from now on have no IPv6, so captures hold no neighbour
    // discovery. Loopback keeps ::1, and sockets on [::] take IPv4.
    ['net.ipv6.conf.all.disable_ipv6', '0'],
    ['net.ipv6.conf.default.disable_ipv6', isIpv6 ? '0' : '1'],
    ['net.ipv6.conf.lo.disable_ipv6', '0'],
    ['net.ipv6.bindv6only', '0'],
    // Above the node ports, so that no client's own port is taken for a service.
    ['net.ipv4.ip_local_port_range', '32768 60999'],
    ['net.ipv4.ip_local_reserved_ports', ''],
    ['net.ipv4.ip_unprivileged_port_start', '0'],
    ['net.ipv4.ip_nonlocal_bind', '0'],
    ['net.ipv4.ip_default_ttl', '64'],
    ['net.ipv4.tcp_fwmark_accept', '0'],
    ['net.ipv4.fwmark_reflect', '0'],
    ...(isIpv6 ? ipv6Settings(isRouter) : []),
  ]);
}

function ipv6Settings(isRouter: boolean): readonly (readonly [string, string])[] {
  const perLink: readonly (readonly [string, string])[] = [
    ['forwarding', isRouter ? '1' : '0'],
    // The plan decides who has which address: links work at once, and nobody is asked for routes.
    ['accept_dad', '0'],
    ['dad_transmits', '0'],
    ['accept_ra', '0'],
    ['autoconf', '0'],
    ['router_solicitations', '0'],
    ['accept_redirects', '0'],
    ['use_tempaddr', '0'],
  ];
  const links = ['all', 'default'].flatMap((link) =>
    perLink.map(([key, value]): [string, string] => [`net.ipv6.conf.${link}.${key}`, value]),
  );
  return [
    ...links,
    // Link-local addresses follow from the MAC, which the plan has decided.
    ['net.ipv6.conf.default.addr_gen_mode', '0'],
    ['net.ipv6.ip_nonlocal_bind', '0'],
    ['net.ipv6.fwmark_reflect', '0'],
  ];
}

/** The same for keys that exist only with a module loaded. */
export function sysctlsIfPresent(
  role: NetnsRole,
  cni: CniName = 'ptp',
): Readonly<Record<string, string>> {
  const conntrack = {
    'net.netfilter.nf_conntrack_events': '1',
    'net.netfilter.nf_conntrack_acct': '0',
    'net.netfilter.nf_conntrack_timestamp': '0',
    'net.netfilter.nf_conntrack_tcp_be_liberal': '0',
    'net.netfilter.nf_conntrack_tcp_loose': '1',
    'net.netfilter.nf_conntrack_checksum': '1',
  };
  // Pods of one bridge talk below IP: service addresses and policies reach them only so. Kubernetes
  // wants it of every node (`br_netfilter`).
  if (role === 'node' && cni === 'bridge') {
    return {
      ...conntrack,
      'net.bridge.bridge-nf-call-iptables': '1',
      'net.bridge.bridge-nf-call-ip6tables': '1',
      'net.bridge.bridge-nf-call-arptables': '0',
    };
  }
  if (role !== 'fabric') return conntrack;
  // The switch must not run its frames through IP's hooks: that would add passes of its own.
  return {
    'net.bridge.bridge-nf-call-iptables': '0',
    'net.bridge.bridge-nf-call-ip6tables': '0',
    'net.bridge.bridge-nf-call-arptables': '0',
  };
}
