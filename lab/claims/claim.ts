import type { Era } from '../../dataplane/redirect/era.ts';
import type { FrameRef, Outcome } from '../judge/verdict.ts';
import type { ClaimWorld } from './claim-world.ts';
import type { ClaimActionName, ClaimRequestName } from './requests.ts';

/** A generation of the redirect, or another data plane that a claim speaks of. */
export type ClaimEra = Era | 'sidecar' | 'waypoint' | 'none';

/** What a check came to, and what it stands on. */
export interface Finding {
  readonly outcome: Outcome;
  /** One line for people, complete in itself. */
  readonly text: string;
  /** Sockets, rules, counters, log lines: as they were read. */
  readonly evidence: readonly string[];
  readonly frames: readonly FrameRef[];
}

/** An outcome that is known beforehand to be other than *holds*, and why. */
export interface Expectation {
  readonly outcome: Outcome;
  readonly because: string;
}

/** One statement about a mesh's data plane, and the check that settles it. One file a claim. */
export interface Claim {
  readonly id: string;
  /** The statement in our own words. */
  readonly statement: string;
  /** Where it is made: a table of field notes, a document, a source file. */
  readonly source: string;
  /** Eras it speaks of; in others it is not asked. */
  readonly eras: readonly ClaimEra[];
  /** What it lacks to be settled here at all; a claim has either this or a check. */
  readonly needs?: string;
  /** Requests of the shared recording that the check reads. */
  readonly requests?: readonly ClaimRequestName[];
  /** Programs of the shared recording whose packets the check reads. */
  readonly actions?: readonly ClaimActionName[];
  /** The check changes the lab: it runs after all that only read, and mends what it broke. */
  readonly changesLab?: boolean;
  /** Outcome that is known, in all eras or in one; *holds* unless said, *could not run* with `needs`. */
  readonly expected?: Expectation | Partial<Readonly<Record<Era, Expectation>>>;
  readonly check?: (world: ClaimWorld) => Finding | Promise<Finding>;
}

/** The eras of in-pod redirection. */
export const IN_POD: readonly ClaimEra[] = ['inpod-tproxy', 'inpod-redirect', 'inpod-nft'];
/** Every era of ambient. */
export const AMBIENT: readonly ClaimEra[] = ['geneve', ...IN_POD];

/** What the recorded expectation of a claim is in an era. */
export function expectedOutcome(claim: Claim, era: ClaimEra): Expectation | undefined {
  if (claim.expected === undefined) return undefined;
  if ('outcome' in claim.expected) return claim.expected;
  return (claim.expected as Readonly<Record<string, Expectation>>)[era];
}
