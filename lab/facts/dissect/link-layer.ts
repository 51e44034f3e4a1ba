import { LINK_TYPE } from '../../capture/pcapng.ts';
import { WireError } from '../../../dataplane/wire/errors.ts';
import { ETHER_TYPE, readEthernet } from '../../../dataplane/wire/ethernet.ts';
import { GENEVE_PORT, LINUX_VXLAN_PORT, VXLAN_PORT } from '../../../dataplane/wire/overlay.ts';

export interface LinkPayload {
  hasEthernet: boolean;
  etherType: number;
  payloadOffset: number;
}

/**
 * What lies under the link-layer header of a frame. The object given is filled and returned.
 * @throws WireError where the frame is too short or of a link type we do not read
 */
export function linkPayload(
  linkType: number,
  from: Uint8Array,
  offset: number,
  end: number,
  into: LinkPayload = { hasEthernet: false, etherType: 0, payloadOffset: 0 },
): LinkPayload {
  into.hasEthernet = linkType === LINK_TYPE.ethernet;
  switch (linkType) {
    case LINK_TYPE.ethernet:
      readEthernet(from, offset, end, into);
      return into;
    case LINK_TYPE.raw:
      need(1, offset, end);
      into.etherType = from[offset]! >> 4 === 6 ? ETHER_TYPE.ipv6 : ETHER_TYPE.ipv4;
      into.payloadOffset = offset;
      return into;
    case LINK_TYPE.linuxCooked:
      need(16, offset, end);
      into.etherType = (from[offset + 14]! << 8) | from[offset + 15]!;
      into.payloadOffset = offset + 16;
      return into;
    case LINK_TYPE.linuxCooked2:
      need(20, offset, end);
      into.etherType = (from[offset]! << 8) | from[offset + 1]!;
      into.payloadOffset = offset + 20;
      return into;
    default:
      throw new WireError('ethernet', `Cannot read frames of link type ${linkType}`, offset);
  }
}

function need(bytes: number, offset: number, end: number): void {
  if (end - offset >= bytes) return;
  throw new WireError('ethernet', `Cannot read link header: ${end - offset} bytes`, offset);
}

/** The destination port where it says an overlay, else 0; their source ports are arbitrary. */
export function overlayOfPort(port: number): number {
  if (port === GENEVE_PORT || port === VXLAN_PORT || port === LINUX_VXLAN_PORT) return port;
  return 0;
}
