import {
  ZTUNNEL_DNS_PORT,
  ZTUNNEL_HBONE_PORT,
  ZTUNNEL_INBOUND_PLAINTEXT_PORT,
  ZTUNNEL_OUTBOUND_PORT,
} from './constants.ts';

/** Why each rule is there, said once for all languages that it is written in. */

export const JUMP_INBOUND =
  "What arrives in the pod meets Istio's rules in a chain that can be swapped as a whole.";
export const JUMP_OUTBOUND =
  "What the pod sends meets Istio's rules in a chain that can be swapped as a whole.";

export const MARK_ZTUNNEL_CONNECTIONS =
  'A packet that ztunnel sent (socket mark 0x539) comes in over lo on its way to the app: ' +
  'remember that on the connection, for the reply has no such mark.';
export const RESTORE_CONNECTION_MARK =
  "The app's reply to a connection of ztunnel gets mark 0x111, so that table 100 keeps it in " +
  'the pod although it is addressed to the client.';

export const ACCEPT_PROBE =
  'A probe of the node (it wears this source) goes straight to the app: the node has no ' +
  'identity, and strict policies would refuse it at ztunnel.';
export const ACCEPT_PROBE_REPLY =
  'What goes back to a probe of the node is no outbound traffic of the app.';

export const CAPTURE_INBOUND =
  `Plaintext from others goes to ztunnel on ${ZTUNNEL_INBOUND_PLAINTEXT_PORT}; not ` +
  `${ZTUNNEL_HBONE_PORT}, where ztunnel listens itself, and not what ztunnel hands to the app.`;
export const CAPTURE_OUTBOUND =
  `Every other TCP connection of the app goes to ztunnel on ${ZTUNNEL_OUTBOUND_PORT}; ` +
  "ztunnel's own (mark 0x539) leave, or it would talk to itself for ever.";
export const ACCEPT_BORROWED_ADDRESS =
  "Mark 0x111 says: the app's side of a connection that ztunnel opened; it must not be sent " +
  'to ztunnel as if it were new.';
export const ACCEPT_OWN_ADDRESS =
  "What leaves by lo goes to the pod's own address: a pod talks to itself without ztunnel.";

export const CAPTURE_DNS_UDP =
  `DNS questions of the app are answered by ztunnel on ${ZTUNNEL_DNS_PORT}; a resolver on the ` +
  'loopback of the pod (systemd-resolved, say) is left alone.';
export const CAPTURE_DNS_TCP =
  'DNS over TCP (long answers) must meet the DNS proxy, not the general rule that sends TCP ' +
  'to 15001.';
export const ZONE_OF_QUESTIONS =
  "ztunnel's questions to the real server are tracked in zone 1: with the app's port reused " +
  "they would collide with the app's redirected question.";
export const ZONE_OF_ANSWERS =
  "The real server's answers belong to zone 1 as well, or they would find no connection.";

/** @param name of a virtual interface inside the pod */
export const captureGuest = (name: string): string =>
  `What a guest behind ${name} sends is outbound traffic of this pod, though it comes in here.`;
export const spareGuest = (name: string): string =>
  `Nothing that comes from ${name} may be taken for inbound traffic by the rules below.`;

export const PROBED_PODS =
  'Addresses of the enrolled pods of this node: only probes of these need the detour.';

/** @param snat source address that probes get */
export const snatProbesOfSockets = (snat: string): string =>
  'A probe from a process of the node (it has a socket here; forwarded traffic has not) gets ' +
  `the source ${snat}, by which the pod's rules know it and leave it alone.`;
/** @param uid of kubelet, the one user whose connections are probes */
export const snatProbesOfUser = (snat: string, uid: number): string =>
  `A probe (a socket of uid ${uid}, kubelet's; nftables cannot ask for just any socket) gets the ` +
  `source ${snat}, by which the pod's rules know it and leave it alone.`;
