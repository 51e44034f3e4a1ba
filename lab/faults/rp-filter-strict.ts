import { inPlace } from '../world/in-place.ts';
import type { NodeFault } from './fault.ts';

const KEY = 'net.ipv4.conf.all.rp_filter';

/** Somebody made the reverse path filter of a node strict. */
export const rpFilterStrict: NodeFault = {
  name: 'rp-filter-strict',
  kind: 'node',
  title: 'The reverse path filter of a node is strict (rp_filter = 1)',
  seen:
    'Every captured connection of the node times out (curl: exit 28). Packets vanish without a ' +
    'trace: no log, no ICMP, no counter of any rule; only TcpExtIPReversePathFilter grows.',
  field:
    'systemd and distributions set it; whoever reads "rp_filter" in a hardening guide: antrea#5682, cilium#46284.',
  refusal: ({ era }) =>
    era === 'geneve'
      ? undefined
      : 'its packets leave and enter pods by the same link, and come to ztunnel over lo: the ' +
        'same happens with rp_filter 0 and 1',
  suits: () => true,
  prepare: async ({ lab, at: { node } }) => ({
    value: (await inPlace(lab, node.name, ['sysctl', '-n', KEY])).trim(),
  }),
  async apply({ lab, at: { node } }) {
    await inPlace(lab, node.name, ['sysctl', '-qw', `${KEY}=1`]);
  },
  async mend({ lab, at: { node } }, { value }) {
    await inPlace(lab, node.name, ['sysctl', '-qw', `${KEY}=${String(value)}`]);
  },
};
