import type { Cell } from '../grid/cells.ts';
import type { CellResult, GridResult } from '../grid/grid-result.ts';
import type { CellFacts, Extent, LinkFacts, TunnelFacts } from '../grid/read-cell.ts';
import type { Outcome } from '../judge/verdict.ts';
import { counted } from './text.ts';
import { WRAPPING_WORDS } from './wrapping.ts';

const LINK_SIGNS: Readonly<Record<LinkFacts['state'], string>> = {
  encrypted: '●',
  readable: '○',
  'not known': '?',
};

/** In one phrase where the request of a cell was encrypted: `● HBONE, pod to pod`, `○ plain`. */
export function phraseOf(cell: CellResult): string {
  const { facts, reachable, answer } = cell;
  if (answer === undefined) return '? could not run';
  if (reachable !== true) return `✘ ${answer}`;
  if (facts === undefined) return '? not known';
  const { extent } = facts.encryption;
  const wrapping = wrappingOf(facts);
  if (extent === 'nowhere') return '○ plain';
  if (extent === 'not known') return `? ${wrapping}, not known where`;
  return `${extent === 'pod to pod' ? '●' : '◐'} ${wrapping}, ${extent}`;
}

/** A sign for each link that was crossed; the two ends of a wire are one. */
export function linkStrip({ encryption }: CellFacts): string {
  const { links } = encryption;
  const shown = links.filter((link, index) => {
    const before = links[index - 1];
    const isSameWire = before?.kind === 'wire' && link.kind === 'wire' && before.leg === link.leg;
    return !isSameWire || before.state !== link.state;
  });
  return shown.map(({ state }) => LINK_SIGNS[state]).join('');
}

/** `HBONE`, `mTLS`, or `plain` where there is no tunnel. */
export function wrappingOf({ encryption }: CellFacts): string {
  const words = encryption.tunnels.map(({ wrapping }) => WRAPPING_WORDS[wrapping]);
  return words.length === 0 ? 'plain' : [...new Set(words)].join(' and ');
}

/** What a server is called by. */
export function byWords(calledBy: Cell['calledBy']): string {
  return calledBy === 'service' ? 'service' : 'pod IP';
}

/** `sleep 10.244.1.4`, or the address alone where nobody has it. */
export function sourceText({ source }: CellFacts): string {
  if (source === undefined) return 'not told';
  return source.name === source.address ? source.address : `${source.name} ${source.address}`;
}

/** Who made a tunnel, and with which certificates. */
export function tunnelText(tunnel: TunnelFacts): string {
  const { from, to, clientIdentity = 'no identity', serverIdentity = 'no identity' } = tunnel;
  return `${from} ⇄ ${to} as ${clientIdentity} ⇄ ${serverIdentity}`;
}

/** `36 cells of era inpod-redirect: 36 reachable · 6 encrypted · 30 plain · all as recorded`. */
export function totalsOf({ cells, era, sidecarsSpeakHbone }: GridResult): string {
  const count = (outcome: Outcome): number =>
    cells.filter((cell) => cell.outcome === outcome).length;
  const reachable = cells.filter((cell) => cell.reachable === true).length;
  const extents = cells.flatMap(({ facts }) => facts?.encryption.extent ?? []);
  const within = (...some: readonly Extent[]): number =>
    extents.filter((extent) => some.includes(extent)).length;
  const inPart = within('in part', 'not known');
  const parts = [
    `${counted(cells.length, 'cell')} in era ${era}${sidecarsSpeakHbone ? '' : ', sidecars without HBONE'}: ${reachable} reachable`,
    `${within('pod to pod', 'node to node')} encrypted`,
    ...(inPart > 0 ? [`${inPart} in part`] : []),
    `${within('nowhere')} plain`,
    count('refuted') > 0 ? `${count('refuted')} other than recorded` : 'none other than recorded',
    ...(count('could not run') > 0 ? [`${count('could not run')} could not run`] : []),
  ];
  return parts.join(' · ');
}
