import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { EvidenceMissing, settle, together } from '../finding.ts';
import { HeldConnection } from '../held.ts';
import { addressOf, statusFrom } from './ask.ts';
import { packetsOf, ruleLines } from './rules-text.ts';
import { withWorkloadsFile } from './workloads-file.ts';

const ECHO_PORT = 9000;
const HTTP2_GOAWAY = 7;

async function appProcesses(world: ClaimWorld): Promise<string> {
  const { processes } = await world.lab.status();
  const apps = processes.filter(({ kind }) => kind === 'app-host' || kind === 'command');
  return apps.map(({ name, pid }) => `${name} ${pid}`).join(' ');
}

const TRACK = ['-m', 'conntrack', '--ctstate', 'ESTABLISHED', '-j', 'ACCEPT'];

/** How a connection that was open before ends when one of its pods is enrolled. */
async function openAtEnrolment(
  world: ClaimWorld,
  side: 'server' | 'client',
  isTracked: boolean,
): Promise<string> {
  const { lab } = world;
  const pod = side === 'server' ? 'visitor' : 'bystander';
  if (isTracked) await world.read(pod, 'iptables', '-I', 'INPUT', ...TRACK);
  try {
    const host = addressOf(world, 'visitor');
    await using held = await HeldConnection.open(lab, 'bystander', host, ECHO_PORT, 2_000);
    const entries = (await world.run(pod, ['conntrack', '-L', '-p', 'tcp'])).stdout;
    const isKnown = entries.includes(`dport=${ECHO_PORT}`);
    await lab.enrol(pod);
    const { end, echoed } = await held.ended();
    return `${side} enrolled, ${isKnown ? '' : 'not '}known to conntrack: ${end} after ${echoed} echoes`;
  } finally {
    await lab.leave(pod);
    if (isTracked) await world.read(pod, 'iptables', '-D', 'INPUT', ...TRACK);
  }
}

/** Pods join and leave with the same app process; what was open then is measured. */
export async function enrolsRunningPods(world: ClaimWorld): Promise<Finding> {
  const before = await appProcesses(world);
  await world.lab.enrol('guest');
  const inside = await statusFrom(world, 'client', 'guest');
  await world.lab.leave('guest');
  const outside = await statusFrom(world, 'client', 'guest');
  const measured: string[] = [];
  for (const side of ['server', 'client'] as const) {
    for (const isTracked of [false, true]) {
      measured.push(await openAtEnrolment(world, side, isTracked));
    }
  }
  const isSame = before === (await appProcesses(world));
  const isSo = isSame && inside === '200' && outside === '200';
  const text = `the same app processes: ${isSame}; enrolled: ${inside}, left: ${outside}; open connections are measured, not assumed: ${measured.join('; ')}`;
  return settle(isSo, text, { evidence: measured });
}

/** The one connection of the first instruction of a pod met ztunnel. */
export async function firstInstructionCaptured(world: ClaimWorld): Promise<Finding> {
  addressOf(world, 'eager');
  const own = await legsOfEager(world);
  const rules = await ruleLines(world, 'eager');
  const redirect = rules.find((line) => /REDIRECT --to-ports 15001|redirect to :15001/.test(line));
  if (redirect === undefined) return settle(false, 'no rule redirects to 15001');
  const packets = packetsOf(redirect);
  const text = `1 connection made by the app: ${packets} redirected to 15001, ${own.length} leg of ztunnel`;
  return settle(packets === 1 && own.length === 1, text, { evidence: [redirect, ...own] });
}

/** ztunnel writes a leg down when it ends, and the app's time is over after 5 s. */
async function legsOfEager(world: ClaimWorld): Promise<readonly string[]> {
  const file = join(world.lab.directory, 'legs.jsonl');
  const deadline = performance.now() + 6_000;
  for (;;) {
    const legs = await readFile(file, 'utf8').catch(() => '');
    const own = legs
      .split('\n')
      .filter((line) => line.includes('"pod":"demo/eager"') && line.includes('"outbound"'));
    if (own.length > 0 || performance.now() > deadline) return own;
    await sleep(100);
  }
}

/** An enrolment taken back cuts the tunnel at once, without GOAWAY. */
export async function tornDownAtOnce(world: ClaimWorld): Promise<Finding> {
  const { lab } = world;
  const host = addressOf(world, 'guest');
  await lab.enrol('guest');
  let end = '';
  const { conversations } = await world.record('delete', async () => {
    await using held = await HeldConnection.open(lab, 'client', host, ECHO_PORT, 3_000);
    await lab.leave('guest');
    ({ end } = await held.ended());
  });
  const tunnel = conversations.find(
    ({ server, http2 }) => server.address === host && server.port === 15008 && http2 !== undefined,
  );
  if (tunnel === undefined) throw new EvidenceMissing('a decrypted tunnel to the pod');
  const goaways = tunnel.http2?.server.filter(({ type }) => type === HTTP2_GOAWAY) ?? [];
  const control = tunnel.http2?.server.length ?? 0;
  const isSo = end !== 'open' && goaways.length === 0 && control > 0;
  const text = `the held connection ended: ${end}; ${goaways.length} GOAWAY among ${control} frames of the server`;
  return settle(isSo, text, {
    frames: [
      {
        file: world.fileOf('delete', tunnel.best.interface),
        frames: [tunnel.best.firstFrame, tunnel.best.lastFrame],
      },
    ],
  });
}

/** A policy that no longer admits a client ends what it had open. */
export async function revokedIsClosed(world: ClaimWorld): Promise<Finding> {
  const admitted = '!Exact cluster.local/ns/demo/sa/client';
  const host = addressOf(world, 'vault');
  const { lab } = world;
  return withWorkloadsFile(world, async (text, replace) => {
    if (!text.includes(admitted)) throw new EvidenceMissing('a policy that admits the client');
    const hold = async (isRevoked: boolean): Promise<string> => {
      await using held = await HeldConnection.open(lab, 'client', host, ECHO_PORT, 2_500);
      // The control rewrites the file too, with nothing changed.
      await replace(isRevoked ? text.replace(admitted, `${admitted}-no-more`) : `${text}\n`);
      return (await held.ended()).end;
    };
    const [kept, cut] = [await hold(false), await hold(true)];
    return settle(
      kept === 'open' && cut !== 'open',
      `open connection: ${kept} while admitted, ${cut} when revoked`,
      { evidence: [admitted] },
    );
  });
}

/** Annotated pod: plain text meets the app, HBONE is served, outbound is captured. */
export function bypassesInbound(world: ClaimWorld): Finding {
  const listeners = (name: 'gatePlain' | 'gateMesh' | 'gateOut') =>
    world.path(name).legs.map(({ to }) => to.listener ?? Number(to.address.split(':').at(-1)));
  const [plain, mesh, out] = [listeners('gatePlain'), listeners('gateMesh'), listeners('gateOut')];
  const isSo = plain.join() === '8080' && mesh.join() === '15001,15008,8080' && out[0] === 15001;
  return together(
    settle(
      isSo,
      `plain in: ${plain.join(' → ')}; HBONE in: ${mesh.join(' → ')}; out: ${out.join(' → ')}`,
      {
        frames: world
          .connection(world.path('gatePlain'), 1)
          .sightings.map(({ file, firstFrame }) => ({ file, frames: [firstFrame] })),
      },
    ),
  );
}
