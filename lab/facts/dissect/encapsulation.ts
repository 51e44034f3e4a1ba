import { TRANS_ETHER_BRIDGING } from '../../../dataplane/wire/overlay.ts';
import { describeLayers } from './describe-frame.ts';
import { FRAME_META } from './frame-meta.ts';
import type { FrameTable } from './frame-table.ts';
import type { Encapsulation } from './types.ts';

/** The overlays that a frame is inside of, outermost first; empty for a bare one. */
export function encapsulationOf(table: FrameTable, row: number): Encapsulation[] {
  if ((table.meta[row]! & FRAME_META.encapsulated) === 0) return [];
  const wrappings: Encapsulation[] = [];
  let addresses = { source: '', destination: '' };
  let ports = { sourcePort: 0, destinationPort: 0 };
  for (const layer of describeLayers(table.linkType, table.bytes(row))) {
    if (layer.kind === 'ipv4' || layer.kind === 'ipv6') {
      addresses = { source: layer.source, destination: layer.destination };
    } else if (layer.kind === 'udp') {
      ports = { sourcePort: layer.sourcePort, destinationPort: layer.destinationPort };
    } else if (layer.kind === 'geneve') {
      const { kind, vni, protocol, optionBytes } = layer;
      wrappings.push({ kind, vni, protocol, optionBytes, ...addresses, ...ports });
    } else if (layer.kind === 'vxlan') {
      const { kind, vni } = layer;
      const protocol = TRANS_ETHER_BRIDGING;
      wrappings.push({ kind, vni, protocol, optionBytes: 0, ...addresses, ...ports });
    }
  }
  return wrappings;
}
