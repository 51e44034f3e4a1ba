import { runProgram } from '../hosts/run.ts';
import { LabError } from '../world/errors.ts';
import type { Lab } from '../world/lab.ts';

/** All of one namespace that a mutation may touch, as text that its own tools take back. */
export interface PlaceState {
  readonly place: string;
  /** `iptables-save`, without comments and counters. */
  readonly rules: string;
  readonly policyRules: string;
  readonly routes: string;
  /** `ipset save`; empty where there is no set. */
  readonly sets: string;
}

const TIMEOUT_MS = 20_000;

/** Runs a program in a place of the lab and gives what it printed. @throws LabError LAB_PROGRAM_FAILED */
export async function inPlace(
  lab: Lab,
  place: string,
  argv: readonly [string, ...string[]],
  input?: string,
): Promise<string> {
  const [file = '', ...args] = lab.execArgv(place, argv);
  const done = await runProgram([file, ...args], {
    timeoutMs: TIMEOUT_MS,
    ...(input === undefined ? {} : { input }),
  });
  if (done.exitCode === 0) return done.stdout;
  const said = done.stderr.trim();
  throw new LabError(
    'LAB_PROGRAM_FAILED',
    `Cannot run "${argv.join(' ')}" in ${place}: it ended with ${done.exitCode}: ${said}`,
  );
}

/** Reads a place from the kernel. */
export async function readPlace(lab: Lab, place: string): Promise<PlaceState> {
  const [rules, policyRules, routes, sets] = await Promise.all([
    inPlace(lab, place, ['iptables-save']),
    inPlace(lab, place, ['ip', 'rule', 'show']),
    inPlace(lab, place, ['ip', 'route', 'show', 'table', 'all']),
    inPlace(lab, place, ['ipset', 'save']),
  ]);
  return { place, rules: withoutCounters(rules), policyRules, routes, sets };
}

/** What differs between a place as it was and as it is; empty when nothing does. */
export function differencesOf(before: PlaceState, after: PlaceState): readonly string[] {
  const parts = ['rules', 'policyRules', 'routes', 'sets'] as const;
  return parts
    .filter((part) => before[part] !== after[part])
    .map((part) => `${before.place}: ${part}`);
}

function withoutCounters(text: string): string {
  return `${text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/ \[\d+:\d+\]$/, ' [0:0]'))
    .join('\n')}\n`;
}
