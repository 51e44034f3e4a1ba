import { setTimeout as sleep } from 'node:timers/promises';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { ConnectionStream, endsText, failedOf, type StreamEnds } from '../connection-stream.ts';
import { EvidenceMissing, settle, together } from '../finding.ts';
import { HeldConnection, type HeldEnd } from '../held.ts';
import { addressOf } from './ask.ts';
import { listenersIn } from './pod-state.ts';

const ECHO_PORT = 9000;
/** Longer than a rolling update takes, and than its drain. */
const HELD_FOR_MS = 60_000;
/** So that the first instructions of the drain are over when echoes are counted. */
const INTO_DRAIN_MS = 1_000;
const NOBODY = 65_534;

/** SO_REUSEPORT (15 in Linux), then the port that ztunnel listens on. */
const BIND = `use Socket; socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, 15, 1);
print bind(S, sockaddr_in(15001, INADDR_ANY)) ? "bound" : "$!";`;

interface Swap {
  readonly outbound: StreamEnds;
  readonly inbound: StreamEnds;
  readonly held: HeldEnd;
  /** Echoes of the old connection when the old ztunnel was told to end, and a second later. */
  readonly echoes: readonly [number, number];
  /** Processes that listen on 15001 of the pod: before, while both run, after. */
  readonly listeners: readonly (readonly string[])[];
  /** New connections that each of the two took while both ran. */
  readonly shares: readonly [number, number];
  readonly bindAsRoot: string;
  readonly bindAsNobody: string;
}

/** What a rolling update of one node's ztunnel does to old and new connections of its pods. */
function rollingUpdate(world: ClaimWorld): Promise<Swap> {
  return world.once('rolling', () => world.beside('roll', { spareZtunnels: true }, swap));
}

async function swap(world: ClaimWorld): Promise<Swap> {
  const { lab } = world;
  const [client, far] = [addressOf(world, 'client'), addressOf(world, 'far')];
  await using held = await HeldConnection.open(lab, 'client', far, ECHO_PORT, HELD_FOR_MS);
  await using outbound = new ConnectionStream(lab, 'client', far, ECHO_PORT);
  await using inbound = new ConnectionStream(lab, 'far', client, 8080);
  const listeners = [await owners(world)];
  await lab.surge('node1');
  listeners.push(await owners(world));
  const bind = async (user: number) =>
    (await world.run('client', ['perl', '-e', BIND], { user })).stdout;
  const [bindAsRoot, bindAsNobody] = [await bind(0), await bind(NOBODY)];
  const shares = await sharesOf(world);
  const retired = lab.retire('node1');
  const before = held.echoed;
  await sleep(INTO_DRAIN_MS);
  const echoes = [before, held.echoed] as const;
  await retired;
  listeners.push(await owners(world));
  const ends = { outbound: await outbound.finish(), inbound: await inbound.finish() };
  const end = await held.ended();
  return { ...ends, held: end, echoes, listeners, shares, bindAsRoot, bindAsNobody };
}

async function owners(world: ClaimWorld): Promise<readonly string[]> {
  const lines = await listenersIn(world, 'client');
  return lines.filter(({ port }) => port === 15001).map(({ line }) => line);
}

/** Connections of the stream that each ztunnel logs within a second. */
async function sharesOf(world: ClaimWorld): Promise<readonly [number, number]> {
  const count = async () => {
    const logs = [await world.ztunnelLog('node1'), await world.ztunnelLog('node1-b')];
    const isOwn = (line: string) =>
      line.includes('connection complete') && line.includes('"outbound"');
    return logs.map((lines) => lines.filter(isOwn).length);
  };
  const before = await count();
  await sleep(1_000);
  const after = await count();
  return [after[0]! - before[0]!, after[1]! - before[1]!];
}

/** No new connection fails; an old one is served until the drain ends, and is cut then. */
export async function rollingKeepsNew(world: ClaimWorld): Promise<Finding> {
  const { outbound, inbound, held, echoes, listeners } = await rollingUpdate(world);
  const [out, into] = [failedOf(outbound), failedOf(inbound)];
  if (out.all < 20 || into.all < 20) throw new EvidenceMissing('new connections during the swap');
  const isKept = out.failed === 0 && into.failed === 0;
  const grown = echoes[1] - echoes[0];
  const isDrained = grown > 0 && held.end !== 'open';
  const counts = listeners.map(({ length }) => length);
  return together(
    settle(
      isKept,
      `new connections across the swap: from the pod ${endsText(outbound)}, to it ${endsText(inbound)}`,
      { evidence: listeners.flat() },
    ),
    settle(
      isDrained,
      `an old one went on in the drain (${grown} echoes in its first second), then ended: ${held.end}`,
    ),
    settle(counts.join() === '1,2,1', `listeners on 15001 of the pod: ${counts.join(', ')}`),
  );
}

/** As {@link rollingKeepsNew}, and only a process of the same user can join the port. */
export async function rollingSharesPort(world: ClaimWorld): Promise<Finding> {
  const { bindAsRoot, bindAsNobody } = await rollingUpdate(world);
  const text = `SO_REUSEPORT on 15001 in the pod: as ztunnel's user ${bindAsRoot}, as another: ${bindAsNobody}`;
  const shared = settle(bindAsRoot === 'bound' && bindAsNobody !== 'bound', text);
  return together(await rollingKeepsNew(world), shared);
}

/** While both run, each takes some of the new connections. */
export async function bothTakeNew(world: ClaimWorld): Promise<Finding> {
  const { shares, listeners } = await rollingUpdate(world);
  if (shares[0] + shares[1] < 10) throw new EvidenceMissing('new connections while both run');
  const text = `new connections in a second in which both ran: ${shares[0]} by the old, ${shares[1]} by the new`;
  return settle(shares[0] > 0 && shares[1] > 0, text, { evidence: listeners[1] ?? [] });
}
