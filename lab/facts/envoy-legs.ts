import type { LegRecord } from '../../dataplane/ztunnel/leg-record.ts';
import { forwardedForOf } from './tls-facts.ts';

/** How Envoy calls an internal listener, with the endpoint that it was chosen for. */
const INTO_TUNNEL = /^envoy:\/\/connect_originate\/(.+)$/;

/**
 * The leg record that a line of a sidecar's Envoy stands for (`dataplane/envoy/access-log.ts`);
 * anything else is given back as it is. What Envoy has no value for is absent in its line.
 */
export function fromEnvoy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('proxy' in value)) return value;
  const line = value as Readonly<Record<string, unknown>>;
  if (line['proxy'] !== 'envoy') return value;
  const { acceptedPeer, acceptedLocal, upstreamLocal, upstreamRemote, forwarded, ...rest } = line;
  const tunnelledTo =
    typeof upstreamRemote === 'string' ? INTO_TUNNEL.exec(upstreamRemote)?.[1] : undefined;
  const hasUpstream =
    typeof upstreamLocal === 'string' &&
    typeof upstreamRemote === 'string' &&
    tunnelledTo === undefined;
  const forwardedFor = typeof forwarded === 'string' ? forwardedForOf(forwarded) : undefined;
  const error = errorOf(line);
  return {
    ...rest,
    accepted: { peer: acceptedPeer, local: acceptedLocal },
    originalDestination: line['originalDestination'] ?? acceptedLocal ?? '',
    ...(hasUpstream && { upstream: { local: upstreamLocal, remote: upstreamRemote } }),
    ...(tunnelledTo !== undefined && { tunnelledTo }),
    ...(forwardedFor !== undefined && { forwardedFor }),
    ...(error !== undefined && { error }),
  } satisfies Partial<Record<keyof LegRecord, unknown>> & Record<string, unknown>;
}

/** Envoy's response flags (`-` for none) and what it says of them. */
function errorOf(line: Readonly<Record<string, unknown>>): string | undefined {
  const { flags, details, tlsFailure } = line;
  if (typeof flags !== 'string' || flags === '-') return undefined;
  const words = [flags, details, tlsFailure].filter(
    (word): word is string => typeof word === 'string' && word !== '' && word !== '-',
  );
  return words.join(' ');
}
