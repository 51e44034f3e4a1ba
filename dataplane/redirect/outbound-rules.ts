import { CHAIN_OUTPUT, ZTUNNEL_OUTBOUND_PORT } from './constants.ts';
import * as reasons from './reasons.ts';
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
    reasons.ACCEPT_PROBE_REPLY,
  );
}

/** What carries the restored mark belongs to a connection of ztunnel already. */
export function acceptBorrowedAddress(): RedirectRule {
  return words.rule(
    'nat',
    CHAIN_OUTPUT,
    [words.TCP, words.MODULE_MARK, words.OF_BORROWED_ADDRESS],
    words.ACCEPT,
    reasons.ACCEPT_BORROWED_ADDRESS,
  );
}

/** The pod talking to itself stays out of the mesh. */
export function acceptOwnAddress(loopback: string): RedirectRule {
  return words.rule(
    'nat',
    CHAIN_OUTPUT,
    [not(words.destination(loopback)), words.outLink(words.LOOPBACK_LINK)],
    words.ACCEPT,
    reasons.ACCEPT_OWN_ADDRESS,
  );
}

/** Everything else by TCP goes to ztunnel. */
export function captureOutbound(loopback: string): RedirectRule {
  return words.rule(
    'nat',
    CHAIN_OUTPUT,
    [not(words.destination(loopback)), words.TCP, words.MODULE_MARK, not(words.FROM_ZTUNNEL)],
    words.redirectTo(ZTUNNEL_OUTBOUND_PORT),
    reasons.CAPTURE_OUTBOUND,
  );
}
