import { runProgram } from '../agent/programs.ts';
import { NetlinkSocket } from '../kernel/netlink.ts';
import { closeNetns, createNetns } from '../kernel/netns.ts';
import { createGeneve, createVxlan, type TunnelEnd } from '../kernel/tunnel-link.ts';
import { TunnelError } from './errors.ts';
import { rewriteRules } from './header-rewrite.ts';
import { TUNNEL_KIND_TEXT, type TunnelKind } from './tunnel.ts';

/** What this machine can do for a kind of tunnel, tried and not assumed. */
export interface TunnelProbe {
  readonly kind: TunnelKind;
  readonly works: boolean;
  /** What was seen. */
  readonly evidence: string;
}

const TRIAL = { name: 'trial', vni: 1000, remote: '192.0.2.1', port: 6081 } as const;

/** Tries both kinds, each in a netns that ends with the trial: nothing is left. Needs root. */
export async function probeTunnels(nft = 'nft'): Promise<readonly TunnelProbe[]> {
  return [await tryKind('geneve', nft), await tryKind('vxlan-rewrite', nft)];
}

/**
 * The kind to use here: the kernel's own device where there is one.
 * @throws {TunnelError} DATAPLANE_TUNNEL_UNSUPPORTED with what was seen of both
 */
export async function chooseTunnelKind(nft = 'nft'): Promise<TunnelKind> {
  const real = await tryKind('geneve', nft);
  if (real.works) return 'geneve';
  const other = await tryKind('vxlan-rewrite', nft);
  if (other.works) return 'vxlan-rewrite';
  const seen = [real, other].map((p) => `${TUNNEL_KIND_TEXT[p.kind]}: ${p.evidence}`).join('; ');
  throw new TunnelError(
    'DATAPLANE_TUNNEL_UNSUPPORTED',
    `Cannot make Geneve tunnels on this machine: ${seen}; one of the two is wished`,
  );
}

async function tryKind(kind: TunnelKind, nft: string): Promise<TunnelProbe> {
  const netns = createNetns();
  try {
    using socket = new NetlinkSocket({ protocol: 'route', netns });
    const make: (end: TunnelEnd) => Buffer = kind === 'geneve' ? createGeneve : createVxlan;
    socket.request([make(TRIAL)]);
    if (kind === 'vxlan-rewrite') {
      const input = rewriteRules({ ...TRIAL, address: '192.0.2.2/30', underlay: 'lo' });
      await runProgram([nft, '-f', '-'], { netns, input });
    }
    return { kind, works: true, evidence: 'tried, works' };
  } catch (error) {
    return { kind, works: false, evidence: (error as Error).message };
  } finally {
    closeNetns(netns);
  }
}
