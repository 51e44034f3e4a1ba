import { setTimeout as sleep } from 'node:timers/promises';
import { failsClosed, type GeneveRelease } from '../../../dataplane/redirect/geneve-constants.ts';
import type { Conversation } from '../../facts/dissect/types.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { ConnectionStream, endsText, failedOf, type StreamEnds } from '../connection-stream.ts';
import { settle, together } from '../finding.ts';
import { HeldConnection } from '../held.ts';
import { addressOf, statusFrom } from './ask.ts';

const NOTICED_TIMEOUT_MS = 10_000;
const ECHO_PORT = 9000;
/** Longer than a swap takes, on a slow machine too. */
const HELD_FOR_MS = 30_000;
const BEFORE_MS = 500;

/** Lines of our chains on a node, and its way of what a pod sends. */
async function redirectOf(world: ClaimWorld): Promise<readonly string[]> {
  const rules = (await world.read('node1', 'iptables-save')).split('\n');
  const routes = (await world.run('node1', ['ip', 'route', 'show', 'table', '101'])).stdout;
  const own = rules.filter((line) => line.startsWith('-A') && line.includes('ztunnel-'));
  return [...own, ...routes.split('\n').filter((line) => line !== '')];
}

async function noticed(world: ClaimWorld, release: GeneveRelease): Promise<void> {
  const deadline = performance.now() + NOTICED_TIMEOUT_MS;
  while (!failsClosed(release) && (await redirectOf(world)).length > 0) {
    if (performance.now() > deadline) return;
    await sleep(100);
  }
}

const placesOf = ({ sightings }: Conversation) => sightings.map((each) => each.interface);

/** One release: direct before and after in 1.18, nothing after in 1.19; with the SYNs' ways. */
async function withoutZtunnel(world: ClaimWorld, release: '1.18' | '1.19'): Promise<Finding> {
  return world.beside(release.replace('.', '-'), { release }, async (aside) => {
    const before = await statusFrom(aside, 'client', 'stranger');
    const rulesBefore = (await redirectOf(aside)).length;
    await aside.lab.kill('ztunnel', 'node1');
    await noticed(aside, release);
    let after = '';
    const { conversations } = await aside.record('lost', async () => {
      after = await statusFrom(aside, 'client', 'stranger');
    });
    const rules = await redirectOf(aside);
    const [from, to] = [addressOf(aside, 'client'), addressOf(aside, 'stranger')];
    const own = conversations.filter(
      ({ client, server }) => client.address === from && server.address === to,
    );
    const places = [...new Set(own.flatMap(placesOf))];
    const isDirect = places.includes('stranger.plain/eth0') && !places.includes('node1/istioout');
    const isLost = places.includes('node1/istioout') && !places.includes('stranger.plain/eth0');
    const isSo =
      before === '200' &&
      (failsClosed(release)
        ? after !== '200' && isLost && rules.length === rulesBefore
        : after === '200' && isDirect && rules.length === 0);
    const text = `${release}: ${before} with ztunnel, ${after} without (rules and routes ${rulesBefore} → ${rules.length}), seen at ${places.join(', ') || 'no interface'}`;
    return settle(isSo, text, {
      frames: own.flatMap(({ sightings }) =>
        sightings.map((each) => ({
          file: aside.fileOf('lost', each.interface),
          frames: [each.firstFrame],
        })),
      ),
    });
  });
}

/** Fail open in 1.18, fail closed in 1.19: a world of each. */
export async function openThenClosed(world: ClaimWorld): Promise<Finding> {
  return together(await withoutZtunnel(world, '1.18'), await withoutZtunnel(world, '1.19'));
}

/** Connections whose packets went from the pod to the other node as they were, past ztunnel. */
function wentDirectly(conversations: readonly Conversation[], from: string, to: string) {
  return conversations.filter(({ client, server, sightings }) => {
    const places = sightings.map((each) => each.interface);
    const isPair = client.address === from && server.address === to && server.port === ECHO_PORT;
    return isPair && places.includes('client.demo/eth0') && places.includes('node1/eth0');
  });
}

/** New connections and an old one while another ztunnel takes over; and what passed it by meanwhile. */
export async function replacingDropsTraffic(world: ClaimWorld): Promise<Finding> {
  return world.beside('swap', { spareZtunnels: true }, async (aside) => {
    const { lab } = aside;
    const [client, far] = [addressOf(aside, 'client'), addressOf(aside, 'far')];
    let ends: StreamEnds = {};
    let end = '';
    const { conversations } = await aside.record('swap', async () => {
      await using held = await HeldConnection.open(lab, 'client', far, ECHO_PORT, HELD_FOR_MS);
      await using stream = new ConnectionStream(lab, 'client', far, ECHO_PORT);
      await sleep(BEFORE_MS);
      await lab.surge('node1');
      await lab.retire('node1');
      ends = await stream.finish();
      ({ end } = await held.ended());
    });
    const after = await statusFrom(aside, 'client', 'far');
    const routes = (await aside.read('node1', 'ip', 'route', 'show', 'table', '101')).trim();
    const { failed, all } = failedOf(ends);
    const direct = wentDirectly(conversations, client, far);
    const text = `${failed} of ${all} new connections failed (${endsText(ends)}), ${direct.length} went directly, in plain text; the old one: ${end}; afterwards ${after}`;
    const isSo = failed + direct.length > 0 && end !== 'open' && after === '200';
    return settle(isSo, text, {
      evidence: routes.split('\n'),
      frames: direct.flatMap(({ sightings }) =>
        sightings.map((one) => ({
          file: aside.fileOf('swap', one.interface),
          frames: [one.firstFrame],
        })),
      ),
    });
  });
}
