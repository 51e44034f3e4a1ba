import type { LegRecord } from '../../dataplane/ztunnel/leg-record.ts';
import type { Connection, ConnectStream } from './facts.ts';
import type { PathBuilder } from './path-builder.ts';
import type { StitchContext } from './stitch-context.ts';
import type { Step } from './stitch-step.ts';

/**
 * The stream that Envoy's `connect_originate` made for an endpoint. Envoy logs no stream, and keeps
 * it for later requests: of those to this authority, the one that carries the canary is it.
 */
export function stepIntoEnvoysTunnel(
  record: LegRecord,
  authority: string,
  path: PathBuilder,
  context: StitchContext,
): Step | undefined {
  const netns = context.records.netnsOf(record) ?? '';
  const until = BigInt(record.closedNs);
  const toIt = context.connections
    .beginningIn(netns)
    .filter(({ tls }) => tls !== undefined)
    .flatMap((connection) =>
      (connection.tls?.streams ?? [])
        .filter((stream) => stream.authority === authority && BigInt(stream.startedNs) <= until)
        .map((stream) => ({ connection, stream })),
    );
  const found = toIt.filter((each) => carries(each, path.request.canary, context));
  const [only] = found;
  if (found.length !== 1 || only === undefined) {
    path.lacks(
      `leg record ${record.id} says that it was tunnelled to ${authority}: ` +
        `${toIt.length} streams to there in ${netns}, the canary is in ${found.length} of them`,
    );
    return undefined;
  }
  path.join(
    'canary',
    `leg ${path.legCount} → leg ${path.legCount + 1}: record ${record.id} was tunnelled to ` +
      `${authority}, stream ${only.stream.stream} to there carries the canary`,
  );
  const isKept = BigInt(only.stream.startedNs) < BigInt(record.openedNs);
  return { ...only, sinceNs: record.openedNs, ...(isKept && { keptSinceNs: record.openedNs }) };
}

function carries(
  { connection, stream }: { readonly connection: Connection; readonly stream: ConnectStream },
  canary: string,
  context: StitchContext,
): boolean {
  return context.canariesIn(connection, stream.stream).has(canary);
}
