import { ProgramError } from '../agent/errors.ts';
import { KernelError } from '../kernel/errors.ts';
import { closeNetns, createNetns } from '../kernel/netns.ts';
import { ensureTunnel } from './ensure-tunnel.ts';
import { TunnelError } from './errors.ts';
import { TUNNEL_KIND_TEXT, TUNNEL_KINDS, type TunnelKind, type TunnelSpec } from './tunnel.ts';

/** What this machine can do for a kind of tunnel, tried and not assumed. */
export interface TunnelProbe {
  readonly kind: TunnelKind;
  readonly works: boolean;
  /** What was seen. */
  readonly evidence: string;
}

const TRIAL: TunnelSpec = {
  ...{ name: 'trial', vni: 1000, remote: '192.0.2.1', port: 6081 },
  ...{ address: '192.0.2.2/30', underlay: 'lo' },
};

/** Tries these kinds, each in a netns that ends with the trial: nothing is left. Needs root. */
export async function probeTunnels(
  kinds: readonly TunnelKind[] = TUNNEL_KINDS,
): Promise<readonly TunnelProbe[]> {
  const probes: TunnelProbe[] = [];
  for (const kind of kinds) probes.push(await tryKind(kind, 'nft'));
  return probes;
}

/**
 * The kind to use here: the kernel's own device where there is one, else the faster of the others.
 * @throws {TunnelError} DATAPLANE_TUNNEL_UNSUPPORTED with what was seen of each
 */
export async function chooseTunnelKind(nft = 'nft'): Promise<TunnelKind> {
  const probes: TunnelProbe[] = [];
  for (const kind of TUNNEL_KINDS) {
    const probe = await tryKind(kind, nft);
    if (probe.works) return kind;
    probes.push(probe);
  }
  const seen = probes.map((p) => `${TUNNEL_KIND_TEXT[p.kind]}: ${p.evidence}`).join('; ');
  throw new TunnelError(
    'DATAPLANE_TUNNEL_UNSUPPORTED',
    `Cannot make Geneve tunnels on this machine: ${seen}; one of them is wished`,
  );
}

async function tryKind(kind: TunnelKind, nft: string): Promise<TunnelProbe> {
  const netns = createNetns();
  try {
    await ensureTunnel(TRIAL, kind, { netns, nft });
    return { kind, works: true, evidence: 'tried, works' };
  } catch (error) {
    if (!isOfMachine(error)) throw error;
    return { kind, works: false, evidence: error.message };
  } finally {
    closeNetns(netns);
  }
}

/** What the kernel or its tools refused; anything else is a fault of ours, and no lack of theirs. */
function isOfMachine(error: unknown): error is KernelError | ProgramError | TunnelError {
  const kinds = [KernelError, ProgramError, TunnelError];
  return kinds.some((kind) => error instanceof kind);
}
