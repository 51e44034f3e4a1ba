import type { Scenario } from '../../topologies/topology.ts';
import type { RunFacts } from '../facts/facts.ts';
import { lackOfPackets } from '../judge/evidence.ts';
import { judgeScenario } from '../judge/judge-scenario.ts';
import type { Baseline, BaselineBlock } from './baseline.ts';
import { compareBlocks } from './compare.ts';
import {
  blocksOf,
  isAlternative,
  isBlockOf,
  isIncompleteFact,
  nameOfScenario,
  type RunBlock,
  titleOf,
} from './describe-run.ts';
import type { CellResult, ScenarioResult } from './results.ts';

export interface CompareOptions {
  readonly isUpdate: boolean;
  /** Compare only scenarios whose name has this text. */
  readonly only?: string;
}

export interface RunComparison {
  readonly state: Exclude<CellResult['state'], 'refused'>;
  readonly scenarios: readonly ScenarioResult[];
  /** What the baseline would be after an update. */
  readonly baseline: Baseline;
}

interface JudgedBlock extends RunBlock {
  readonly refuted: readonly string[];
  /** What is missing to tell the facts at all. */
  readonly lack?: string;
  /** What is missing to tell all of them; a baseline may know that it never is there. */
  readonly incomplete?: string;
}

/** Holds the facts of a run against a baseline, scenario by scenario. */
export function compareWithRun(
  known: Baseline | undefined,
  facts: RunFacts,
  scenarios: readonly Scenario[],
  { isUpdate, only = '' }: CompareOptions,
): RunComparison {
  const wanted = scenarios.filter(({ name }) => name.includes(only));
  const seen = judgeBlocks(facts, wanted);
  const results = [
    ...seen.map((each) => compareOne(each, known, isUpdate)),
    ...vanishedBlocks(known, seen, scenarios, only),
  ];
  return {
    state: stateOf(results, known, isUpdate),
    scenarios: results,
    baseline: {
      title: titleOf(facts.topologyFile, facts.era),
      blocks: scenarios.flatMap((scenario) => {
        const before = known?.blocks.filter(({ name }) => isBlockOf(name, scenario.name)) ?? [];
        return wanted.includes(scenario) ? renewedBlocks(scenario, seen, before) : before;
      }),
    },
  };
}

/** The blocks of the wanted scenarios; one that was asked for and made no request lacks them. */
function judgeBlocks(facts: RunFacts, wanted: readonly Scenario[]): readonly JudgedBlock[] {
  const blocks = blocksOf(facts);
  return wanted.flatMap((scenario) => {
    const own = blocks.filter((each) => each.scenario === scenario.name);
    if (own.length > 0) return own.map((each) => judgeBlock(each, scenario, facts));
    const block = { name: nameOfScenario(scenario.name), facts: [] };
    return [{ scenario: scenario.name, paths: [], block, refuted: [], lack: 'its requests' }];
  });
}

/** What the topology expects becomes a fact like the others: whether it held. */
function judgeBlock(run: RunBlock, scenario: Scenario, facts: RunFacts): JudgedBlock {
  const { checks } = judgeScenario(scenario, { ...facts, paths: run.paths });
  const refuted = checks.filter(({ outcome }) => outcome === 'refuted');
  const names = refuted.map(({ name }) => name);
  const value = names.length > 0 ? `refuted: ${names.join(', ')}` : 'held';
  const fact = { key: 'expectations', value, frames: refuted.flatMap(({ frames }) => frames) };
  const block: BaselineBlock = { ...run.block, facts: [...run.block.facts, fact] };
  const [missing] = run.paths.flatMap((path) => path.missing);
  return {
    ...run,
    block,
    refuted: names,
    ...optional('lack', lackOf(facts, run)),
    ...optional('incomplete', missing && `what joins the legs (${missing})`),
  };
}

function lackOf(facts: RunFacts, { paths }: RunBlock): string | undefined {
  const packets = lackOfPackets(facts);
  if (packets !== undefined) return packets;
  if (paths.some(({ legs }) => legs.length === 0)) return 'packets of the request';
  return facts.hasMarks ? undefined : 'a kernel that tells the marks of frames';
}

function optional<K extends string>(
  key: K,
  value: string | undefined,
): { readonly [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: string });
}

function compareOne(
  { block, refuted, lack, incomplete }: JudgedBlock,
  known: Baseline | undefined,
  isUpdate: boolean,
): ScenarioResult {
  const { name } = block;
  const alternatives = (known?.blocks ?? []).filter((each) => isAlternative(each.name, name));
  const isKnownIncomplete = alternatives.some(({ facts }) => facts.some(isIncompleteFact));
  const needs = lack ?? (isKnownIncomplete || isUpdate ? undefined : incomplete);
  const result = { name, refuted, ...optional('incomplete', incomplete) };
  if (needs !== undefined) return { ...result, state: 'could not run', changes: [], needs };
  const differences = alternatives.map((each) => compareBlocks(each, block));
  const { kind, changes } =
    differences.find((each) => each.kind === 'same') ??
    differences[0] ??
    compareBlocks(undefined, block);
  return { ...result, state: kind, changes };
}

/** Blocks of the baseline that were not seen; of a scenario with replicas one suffices. */
function vanishedBlocks(
  known: Baseline | undefined,
  seen: readonly JudgedBlock[],
  scenarios: readonly Scenario[],
  only: string,
): readonly ScenarioResult[] {
  const names = new Set(seen.map(({ block }) => block.name));
  const made = new Set(seen.map(({ scenario }) => scenario));
  return (known?.blocks ?? [])
    .filter(({ name }) => name.includes(only) && !names.has(name))
    .filter(({ name }) => {
      const scenario = scenarios.find((each) => isBlockOf(name, each.name));
      const isOfReplica = scenario !== undefined && name !== nameOfScenario(scenario.name);
      return !(isOfReplica && made.has(scenario.name));
    })
    .map(({ name }) => ({ name, state: 'vanished' as const, changes: [], refuted: [] }));
}

/** What was seen whole replaces what the baseline had; what was not, does not. */
function renewedBlocks(
  scenario: Scenario,
  seen: readonly JudgedBlock[],
  before: readonly BaselineBlock[],
): readonly BaselineBlock[] {
  const own = seen.filter((each) => each.scenario === scenario.name);
  const isWhole = own.every(({ lack }) => lack === undefined);
  return isWhole ? own.map(({ block }) => block) : before;
}

function stateOf(
  results: readonly ScenarioResult[],
  known: Baseline | undefined,
  isUpdate: boolean,
): RunComparison['state'] {
  const states = new Set(results.map(({ state }) => state));
  const isOff = states.has('differs') || states.has('new') || states.has('vanished');
  if (!isUpdate && (isOff || known?.refusal !== undefined)) return 'differs';
  return states.size === 0 || states.has('could not run') ? 'could not run' : 'same';
}
