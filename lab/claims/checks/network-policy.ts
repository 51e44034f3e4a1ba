import { HBONE_PORT } from '../../../dataplane/ztunnel/outbound-plan.ts';
import { CNI_NAMES, type CniName, type NetworkPolicyFlavour } from '../../../topologies/cni.ts';
import type { NetworkPolicy, NetworkPolicySpec } from '../../../topologies/network-policy.ts';
import { OVERLAY } from '../../plan/cni.ts';
import { PlanError } from '../../plan/errors.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { EvidenceMissing, settle, together } from '../finding.ts';
import { CURL, statusFrom } from './ask.ts';

const APP_PORT = 8080;

function policy(namespace: string, spec: NetworkPolicySpec): NetworkPolicy {
  const metadata = { name: 'claim', namespace };
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec };
}

const pods = (name: string) => ({ podSelector: { matchLabels: { app: name } } });
const ports = (...numbers: readonly number[]) => numbers.map((port) => ({ port }));

/** Runs with a policy in force, which is gone afterwards. */
async function withPolicy<T>(
  { lab }: ClaimWorld,
  wished: NetworkPolicy,
  use: () => Promise<T>,
): Promise<T> {
  await lab.changePolicies({ kind: 'apply', policy: wished });
  try {
    return await use();
  } finally {
    const { namespace = '', name } = wished.metadata;
    await lab.changePolicies({ kind: 'delete', namespace, name });
  }
}

/** Rules of the policies on a node that have met packets, drops last. */
async function metRules(world: ClaimWorld, node: string): Promise<readonly string[]> {
  const rules = await world.lab.policyRules(node);
  return rules
    .filter(({ packets }) => packets > 0)
    .map(({ chain, text, packets }) => `${packets} packets: ${chain} ${text}`);
}

/** A NetworkPolicy for the app's port alone stops HBONE and lets plain text pass; 15008 mends it. */
export async function hboneNeedsPort15008(world: ClaimWorld): Promise<Finding> {
  const guest = world.lab.plan.pods.find(({ name }) => name === 'guest');
  if (guest === undefined) throw new EvidenceMissing('a pod "guest"');
  const admitting = (...numbers: readonly number[]) =>
    policy(guest.namespace, { ...pods('guest'), ingress: [{ ports: ports(...numbers) }] });
  await world.lab.enrol('guest');
  try {
    const ask = async () => ({
      hbone: await statusFrom(world, 'client', 'guest'),
      plain: await statusFrom(world, 'bystander', 'guest'),
      met: await metRules(world, guest.node),
    });
    const alone = await withPolicy(world, admitting(APP_PORT), ask);
    const both = await withPolicy(world, admitting(APP_PORT, HBONE_PORT), ask);
    const text = `policy for ${APP_PORT} alone: HBONE ${alone.hbone}, plain ${alone.plain}; with ${HBONE_PORT} too: HBONE ${both.hbone}, plain ${both.plain}`;
    const seen = [alone.plain, both.hbone, both.plain].join();
    return settle(alone.hbone !== '200' && seen === '200,200,200', text, {
      evidence: [...alone.met, ...both.met],
    });
  } finally {
    await world.lab.leave('guest');
  }
}

interface Asked {
  readonly what: string;
  readonly isAdmitted: boolean;
  readonly status: string;
}

const isAsWritten = ({ isAdmitted, status }: Asked) => (status === '200') === isAdmitted;

/** Who may reach `far`, and where `client` may go, with 15008 admitted as Istio documents it. */
const INGRESS = policy('demo', {
  ...pods('far'),
  ingress: [{ from: [pods('client')], ports: ports(APP_PORT, HBONE_PORT) }],
});
const EGRESS = policy('demo', {
  ...pods('client'),
  policyTypes: ['Egress'],
  egress: [{ to: [pods('far')], ports: ports(APP_PORT, HBONE_PORT) }],
});

/** What two policies say, and what comes of it. */
async function askAll(world: ClaimWorld): Promise<readonly Asked[]> {
  const service = world.lab.plan.services.find(({ name }) => name === 'far');
  const byService = async () => {
    const done = await world.run('client', [...CURL, `http://${service?.vip}:80/get`]);
    return done.exitCode === 0 ? done.stdout : `curl exit ${done.exitCode}`;
  };
  const asked = async (what: string, isAdmitted: boolean, status: Promise<string>) => {
    return { what, isAdmitted, status: await status };
  };
  const reach = (from: string, to: string) => statusFrom(world, from, to);
  return [
    ...(await withPolicy(world, INGRESS, () =>
      Promise.all([
        asked('into far: client, admitted', true, reach('client', 'far')),
        asked('into far: near, not named', false, reach('near', 'far')),
      ]),
    )),
    ...(await withPolicy(world, EGRESS, () =>
      Promise.all([
        asked('out of client: to far, admitted', true, reach('client', 'far')),
        asked('out of client: to far by its service, admitted', true, byService()),
        asked('out of client: to near, not named', false, reach('client', 'near')),
      ]),
    )),
  ];
}

const FLAVOURS = { ptp: 'nft', bridge: 'iptables', vxlan: 'iptables' } as const satisfies Record<
  CniName,
  NetworkPolicyFlavour
>;

/** On one flavour of CNI: what differs from what the policies say, or that the era refuses it. */
async function collisionsOn(world: ClaimWorld, cni: CniName): Promise<Finding> {
  const networkPolicy = FLAVOURS[cni];
  try {
    return await world.beside(cni, { cni, networkPolicy }, async (aside) => {
      const all = await askAll(aside);
      const wrong = all.filter((one) => !isAsWritten(one));
      const shown = wrong.map(({ what, status }) => `${what}: ${status}`).join(', ');
      const cause =
        aside.lab.plan.era === 'geneve' && cni === 'vxlan' ? [await unmarked(aside)] : [];
      const text = `${cni}: ${wrong.length} of ${all.length} other than written${shown && ` (${shown})`}`;
      return settle(wrong.length > 0, text, {
        evidence: [
          ...all.map(({ what, status }) => `${cni}, ${networkPolicy}: ${what}: ${status}`),
          ...cause,
        ],
      });
    });
  } catch (error) {
    // Any other fault of a plan would be ours, and no collision.
    if (!(error instanceof PlanError && error.code === 'LAB_PLAN_CONFLICT')) throw error;
    return settle(true, `${cni}: refused: ${error.message}`, { evidence: [error.message] });
  }
}

/**
 * The node marks the overlay's UDP packets as it does all UDP (0x220: leave alone), and what is
 * unwrapped from them keeps the mark: it goes past ztunnel. Without the mark it does not.
 */
async function unmarked(world: ClaimWorld): Promise<string> {
  const rule = ['PREROUTING', '-i', OVERLAY, '-j', 'MARK', '--set-mark', '0'];
  const nodes = world.lab.plan.nodes.map(({ name }) => name);
  for (const node of nodes) await world.read(node, 'iptables', '-t', 'mangle', '-I', ...rule);
  const status = await statusFrom(world, 'client', 'far');
  for (const node of nodes) await world.read(node, 'iptables', '-t', 'mangle', '-D', ...rule);
  return `vxlan, the mark 0x220 of its UDP taken off what was inside: client → far ${status}`;
}

/** Node-level: every flavour collides. In-pod: none does. */
export async function collidesWithCni(world: ClaimWorld): Promise<Finding> {
  const found: Finding[] = [];
  for (const cni of CNI_NAMES) found.push(await collisionsOn(world, cni));
  if (world.lab.plan.era === 'geneve') return together(...found);
  return together(...found.map((one) => settle(one.outcome === 'refuted', one.text, one)));
}
