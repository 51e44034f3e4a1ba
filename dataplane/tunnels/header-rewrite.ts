import type { TunnelSpec } from './tunnel.ts';

/** First 32 bits of a VXLAN header with a VNI (RFC 7348 section 5). */
const VXLAN_HEAD = '0x08000000';
/** First 32 bits of a Geneve header: version 0, no options, Ethernet inside (RFC 8926 section 3.4). */
const GENEVE_HEAD = '0x00006558';
/** The tunnel header's first 32 bits and its VNI, counted from the UDP header. */
const HEAD = '@th,64,32';
const VNI = '@th,96,24';

/** Name of the nft table (family netdev) that belongs to a tunnel; no other table is touched. */
export function rewriteTable(tunnel: string): string {
  return `geneve-${tunnel}`;
}

/**
 * nft text that makes a vxlan device speak Geneve: both headers have 8 bytes and the VNI at the same
 * place, so only the first word differs. The chains stand on the link below the device. Loaded again,
 * it takes the place of what was loaded before, in one transaction.
 *
 * What the geneve device would not take is not given to the vxlan device either: VXLAN on this port
 * is dropped, Geneve of another sender, or with options, stays Geneve and is thrown away above (the
 * device wants its own flag). Each rule stands on its own line: nft 1.0.6 misreads several matches of
 * raw bytes that are joined in one set.
 */
export function rewriteRules(spec: TunnelSpec): string {
  const { remote, port, vni, underlay } = spec;
  const ours = `udp dport ${port}`;
  const chain = (name: string, hook: string, rules: readonly string[]): string =>
    `  chain ${name} {\n    type filter hook ${hook} device "${underlay}" priority 0; policy accept;\n` +
    `${rules.map((rule) => `    ${rule}\n`).join('')}  }\n`;
  return (
    `${dropRewrite(spec.name)}table netdev ${rewriteTable(spec.name)} {\n` +
    chain('leaving', 'egress', [
      `ip daddr ${remote} ${ours} ${HEAD} ${VXLAN_HEAD} ${VNI} ${vni} ${HEAD} set ${GENEVE_HEAD}`,
    ]) +
    chain('arriving', 'ingress', [
      `${ours} ${HEAD} ${VXLAN_HEAD} ${VNI} ${vni} drop`,
      `ip saddr ${remote} ${ours} ${HEAD} ${GENEVE_HEAD} ${VNI} ${vni} ${HEAD} set ${VXLAN_HEAD}`,
    ]) +
    '}\n'
  );
}

/** nft text that takes the tunnel's table away, whether it is there or not. */
export function dropRewrite(tunnel: string): string {
  const table = `table netdev ${rewriteTable(tunnel)}`;
  return `${table}\ndelete ${table}\n`;
}
