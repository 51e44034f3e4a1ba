import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { EvidenceMissing, settle, together } from '../finding.ts';

interface Asked {
  readonly place: string;
  readonly transport: string;
  readonly port: number;
  readonly server: string;
  readonly frame: number | undefined;
}

/** Every sighting of a question, in the pod and on its uplink. */
async function questions(world: ClaimWorld, name: string): Promise<readonly Asked[]> {
  const { interfaces } = await world.dissection();
  return interfaces
    .filter(({ netns }) => netns === 'client.demo')
    .flatMap((seen) =>
      seen.dns
        .filter((exchange) => exchange.name.startsWith(name))
        .map(({ server, transport, queryFrame }) => ({
          place: seen.ifname,
          transport,
          port: server.port,
          server: `${server.address}:${server.port}`,
          frame: queryFrame,
        })),
    );
}

function judge(asked: readonly Asked[], name: string): Finding {
  const captured = asked.filter(({ place, port }) => place === 'lo' && port === 15053);
  const forwarded = asked.filter(({ place, port }) => place === 'eth0' && port === 53);
  const loops = asked.filter(({ place, port }) => place === 'lo' && port === 53);
  const text = `${name}: ${captured.length} at 15053, ${forwarded.length} forwarded to port 53 by ztunnel, ${loops.length} left on lo`;
  return settle(captured.length === 1 && loops.length === 0, text, framesOfAsked(asked));
}

function framesOfAsked(asked: readonly Asked[]) {
  const frames = asked.flatMap(({ place, frame }) =>
    frame === undefined
      ? []
      : [{ file: `interfaces/client.demo--${place}.pcapng`, frames: [frame] }],
  );
  return { frames, evidence: asked.map(({ place, server }) => `${place}: ${server}`) };
}

/** The app's questions meet 15053 by UDP and TCP; ztunnel's own go to port 53. */
export async function dnsIsCaptured(world: ClaimWorld): Promise<Finding> {
  const udp = await questions(world, 'udp-asked');
  const tcp = await questions(world, 'tcp-asked');
  if (udp.length + tcp.length === 0) throw new EvidenceMissing('questions of dig');
  return together(judge(udp, 'UDP'), judge(tcp, 'TCP'));
}

/** A question to a resolver on loopback stays what it is. */
export async function loopbackDnsIsFree(world: ClaimWorld): Promise<Finding> {
  const asked = await questions(world, 'loop-asked');
  const control = await questions(world, 'udp-asked');
  if (asked.length === 0) throw new EvidenceMissing('a question on loopback');
  const isSo = asked.every(({ port }) => port === 53) && control.some(({ port }) => port === 15053);
  return settle(
    isSo,
    `asked ${asked.map(({ server }) => server).join(', ')}`,
    framesOfAsked(asked),
  );
}
