import { CHAIN_OUTPUT, ZTUNNEL_OUTBOUND_PORT } from './constants.ts';
import { not } from './rule.ts';
import type { RedirectRule } from './rule.ts';
import * as words from './vocabulary.ts';

/** What both eras do with connections that leave the app (table nat, chain ISTIO_OUTPUT). */

/** Replies to the node's probes are left alone. */
export function acceptProbeReply(probeAddress: string): RedirectRule {
  return words.rule(
    'nat',
    CHAIN_OUTPUT,
    [words.destination(probeAddress), words.TCP, words.MODULE_TCP],
    words.ACCEPT,
    'What goes back to a probe of the node is no outbound traffic of the app.',
  );
}

/** What carries the restored mark belongs to a connection of ztunnel already. */
export function acceptBorrowedAddress(): RedirectRule {
  return words.rule(
    'nat',
    CHAIN_OUTPUT,
    [words.TCP, words.MODULE_MARK, words.OF_BORROWED_ADDRESS],
    words.ACCEPT,
    "Mark 0x111 says: the app's side of a connection that ztunnel opened; it must not be sent " +
      'to ztunnel as if it were new.',
  );
}

/** The pod talking to itself stays out of the mesh. */
export function acceptOwnAddress(loopback: string): RedirectRule {
  return words.rule(
    'nat',
    CHAIN_OUTPUT,
    [not(words.destination(loopback)), words.outLink(words.LOOPBACK_LINK)],
    words.ACCEPT,
    "What leaves by lo goes to the pod's own address: a pod talks to itself without ztunnel.",
  );
}

/** Everything else by TCP goes to ztunnel. */
export function captureOutbound(loopback: string): RedirectRule {
  return words.rule(
    'nat',
    CHAIN_OUTPUT,
    [not(words.destination(loopback)), words.TCP, words.MODULE_MARK, not(words.FROM_ZTUNNEL)],
    words.redirectTo(ZTUNNEL_OUTBOUND_PORT),
    `Every other TCP connection of the app goes to ztunnel on ${ZTUNNEL_OUTBOUND_PORT}; ` +
      "ztunnel's own (mark 0x539) leave, or it would talk to itself for ever.",
  );
}
