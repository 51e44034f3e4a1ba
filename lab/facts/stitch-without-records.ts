import type { Connection, ConnectStream } from './facts.ts';
import type { PathBuilder } from './path-builder.ts';
import type { StitchContext } from './stitch-context.ts';
import { isMarked, type Step } from './stitch-step.ts';

/** A foreign proxy writes no leg records: the CONNECT header or the canary has to join. */
export function stepWithoutRecord(
  { connection, stream }: Step,
  path: PathBuilder,
  context: StitchContext,
): Step | undefined {
  if (stream?.status !== undefined && stream.status !== 200) {
    path.fails(`CONNECT was answered ${stream.status}`);
    return undefined;
  }
  const last = connection.sightings.at(-1);
  if (last === undefined) return undefined;
  const begun = context.connections.beginningIn(last.netns);
  if (stream === undefined) {
    const tunnels = begun.flatMap((each) =>
      (each.tls?.streams ?? [])
        .filter((candidate) => candidate.forwardedFor === last.client)
        .filter((candidate) => isDuring(candidate, connection))
        .map((candidate) => ({ connection: each, stream: candidate })),
    );
    const [tunnel] = tunnels;
    if (tunnels.length === 1 && tunnel !== undefined) {
      path.join(
        'forwarded-header',
        `leg ${path.legCount} → leg ${path.legCount + 1}: CONNECT of stream ` +
          `${tunnel.stream.stream} says for=${last.client}`,
      );
      return tunnel;
    }
  }
  return stepByCanary({ connection, stream }, begun, path, context);
}

function isDuring(stream: ConnectStream, connection: Connection): boolean {
  const started = BigInt(stream.startedNs);
  return started >= BigInt(connection.startedNs) && started <= BigInt(connection.endedNs);
}

function stepByCanary(
  { connection, stream }: Step,
  begun: readonly Connection[],
  path: PathBuilder,
  context: StitchContext,
): Step | undefined {
  const canary = path.request.canary;
  const since = BigInt(stream?.startedNs ?? connection.startedNs);
  const carriers = begun.filter(
    (each) =>
      each !== connection &&
      BigInt(each.startedNs) >= since &&
      BigInt(each.startedNs) <= BigInt(path.request.endedNs) &&
      isOfProxy(each, context) &&
      context.canariesOn(each).has(canary),
  );
  const arrived = stream === undefined || context.canariesIn(connection, stream.stream).has(canary);
  const [carrier] = carriers;
  if (carriers.length !== 1 || carrier === undefined || !arrived) {
    const netns = connection.sightings.at(-1)?.netns ?? '';
    path.lacks(
      `no leg record for ${connection.client} in ${netns}, and its canary is on ` +
        `${carriers.length} of the proxy's connections there`,
    );
    return undefined;
  }
  path.join(
    'canary',
    `leg ${path.legCount} → leg ${path.legCount + 1}: the only connection of the proxy that ` +
      `carries the canary`,
  );
  return { connection: carrier };
}

/** Its sockets are marked; in a netns of its own there are no others, marked or not. */
function isOfProxy({ sightings: [first] }: Connection, { map }: StitchContext): boolean {
  if (first === undefined) return false;
  return isMarked(first.marks) || map.roleOf(first.netns) === 'ztunnel';
}
