import { crossCheck, type Disagreement } from '../../dataplane/redirect/cross-check.ts';
import { findDrift, type Drift } from '../../dataplane/redirect/diff.ts';
import { hostRules } from '../../dataplane/redirect/host-rules.ts';
import { parseSave } from '../../dataplane/redirect/parse-save.ts';
import { podRules } from '../../dataplane/redirect/pod-rules.ts';
import { isListedAs } from '../../dataplane/redirect/routing.ts';
import type { RoutingEntry, RuleSet } from '../../dataplane/redirect/rule.ts';
import { type Direction, type WalkStep, walkRules } from '../../dataplane/redirect/walk.ts';
import { runProgram } from '../hosts/run.ts';
import type { Plan } from '../plan/plan.ts';
import { LabError } from '../world/errors.ts';
import type { Lab, LabStatus } from '../world/lab.ts';
import { findParty } from '../plan/names.ts';

/** The rules of one place in a running lab, as the kernel tells them, and what we know of them. */
export interface RulesReading {
  readonly target: string;
  readonly role: 'pod' | 'node' | 'other';
  readonly enrolled: boolean;
  readonly walks: readonly { readonly direction: Direction; readonly steps: readonly WalkStep[] }[];
  /** `ip rule` and `ip route show table all`, line by line. */
  readonly policyRules: readonly string[];
  readonly routes: readonly string[];
  readonly routing: readonly RoutingEntry[];
  /** Entries of `routing` that the kernel has not. */
  readonly missingRouting: readonly RoutingEntry[];
  /** What differs from the rules that the lab's era wants here; absent where none are wanted. */
  readonly drift?: Drift;
  /** Where a second parser (the npm package iptables-parser) read the same text otherwise. */
  readonly disagreements: readonly Disagreement[];
  /** The text of `iptables-save -c`, untouched. */
  readonly saved: string;
}

/** Reads rules, policy rules and routes of a pod, a node, `outside` or `ztunnel/<node>`. */
export async function readRules(lab: Lab, target: string): Promise<RulesReading> {
  const status = await lab.status();
  const [saved, policyRules, routes] = await Promise.all([
    read(lab, target, ['iptables-save', '-c']),
    read(lab, target, ['ip', 'rule', 'show']),
    read(lab, target, ['ip', 'route', 'show', 'table', 'all']),
  ]);
  const place = placeOf(lab.plan, status, target);
  const wanted = wantedRules(lab.plan, place);
  const known = wanted?.families ?? [];
  const routing = (wanted?.routing ?? []).filter(({ family }) => family === 'ipv4');
  const listed = [...lines(policyRules), ...lines(routes)];
  const rules = parseSave(saved);
  const ipv4 = known.find(({ family }) => family === 'ipv4');
  return {
    target,
    ...place,
    walks: directionsOf(place.role).map((direction) => ({
      direction,
      steps: walkRules(rules, direction, { family: 'ipv4', known }),
    })),
    policyRules: lines(policyRules),
    routes: lines(routes),
    routing,
    missingRouting: routing.filter((entry) => !listed.some((line) => isListedAs(entry, line))),
    ...(ipv4 === undefined ? {} : { drift: findDrift(ipv4, rules) }),
    disagreements: crossCheck(saved),
    saved,
  };
}

/** The ways through a place, replies last. */
export function directionsOf(role: RulesReading['role']): readonly Direction[] {
  const ends: readonly Direction[] = ['inbound', 'outbound'];
  const replies: readonly Direction[] = ['reply-to-inbound', 'reply-to-outbound'];
  if (role !== 'node') return [...ends, ...replies];
  return [...ends, 'forwarded', ...replies, 'reply-to-forwarded'];
}

async function read(
  lab: Lab,
  target: string,
  argv: readonly [string, ...string[]],
): Promise<string> {
  const [file = '', ...args] = lab.execArgv(target, argv);
  const done = await runProgram([file, ...args], { timeoutMs: 10_000 });
  if (done.exitCode === 0) return done.stdout;
  throw new LabError(
    'LAB_PROGRAM_FAILED',
    `Cannot read rules of "${target}": ${argv.join(' ')} ended with ${done.exitCode}: ${done.stderr.trim()}`,
  );
}

interface Place {
  readonly role: RulesReading['role'];
  readonly enrolled: boolean;
}

function placeOf(plan: Plan, status: LabStatus, text: string): Place {
  const party = findParty(plan, text);
  switch (party.kind) {
    case 'node':
      return { role: 'node', enrolled: false };
    case 'pod': {
      const pod = status.pods.find(({ uid }) => uid === party.pod.uid);
      return { role: 'pod', enrolled: pod?.enrolled ?? false };
    }
    case 'ztunnel':
    case 'outside':
    case 'fabric':
      return { role: 'other', enrolled: false };
  }
}

function wantedRules(plan: Plan, place: Place): RuleSet | undefined {
  if (place.role === 'node') return hostRules({ era: plan.era });
  if (!place.enrolled) return undefined;
  return podRules({ era: plan.era, dnsCapture: plan.dnsCapture });
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}
