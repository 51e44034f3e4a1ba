import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { readViews } from '../../facts/read-views.ts';
import type { GridResult } from '../../grid/grid-result.ts';
import { tunnelKindText } from '../leg-words.ts';
import type { RunFacts } from '../../facts/facts.ts';
import { describeMachine, type Machine } from '../../hosts/machine.ts';
import type { ScenarioVerdict } from '../../judge/verdict.ts';
import { worstOutcome } from '../../judge/verdict.ts';
import type { Plan } from '../../plan/plan.ts';
import { counted, formatBytes } from '../text.ts';
import { loadAssets } from './assets.ts';
import { renderPage } from './page.ts';
import type { AboutLine, HtmlReport, RulesReport, WorldReport } from './report-input.ts';

/** Writes any report to a file; its folder is made. */
export async function writePage(file: string, report: HtmlReport): Promise<void> {
  const page = renderPage(report, await loadAssets());
  await mkdir(dirname(resolve(file)), { recursive: true });
  await writeFile(file, page);
}

export interface RunPageOptions {
  readonly verb: 'run' | 'trace' | 'grid';
  /** Run directory with the captures. */
  readonly directory: string;
  readonly plan: Plan;
  readonly facts: RunFacts;
  readonly scenarios: readonly ScenarioVerdict[];
  readonly rules?: readonly RulesReport[];
  /** More that should be told of this run, such as which tunnel device was used. */
  readonly about?: readonly AboutLine[];
  /** The table of a grid, in place of that of its scenarios. */
  readonly grid?: GridResult;
}

/** Writes the page of a run or of a trace: reads the headers of its hops out of the captures first. */
export async function writeRunPage(file: string, options: RunPageOptions): Promise<void> {
  const { directory, plan, facts, scenarios, verb } = options;
  const isJudged = scenarios.some(({ checks }) => checks.length > 0);
  const world: WorldReport = {
    plan,
    facts,
    scenarios: isJudged ? scenarios : [],
    views: await readViews({ dir: directory, facts }),
    capturesAt: relative(dirname(resolve(file)), resolve(directory)) || '.',
  };
  await writePage(file, {
    verb,
    title: titleOf(options),
    ...(isJudged && { outcome: worstOutcome(scenarios.map(({ outcome }) => outcome)) }),
    about: [...aboutRun(facts), ...(options.about ?? []), ...aboutMachine(await describeMachine())],
    world,
    ...(options.rules && { rules: options.rules }),
    ...(options.grid && { grid: options.grid }),
  });
}

function titleOf({ verb, plan, facts }: RunPageOptions): string {
  switch (verb) {
    case 'run':
      return plan.lab;
    case 'trace':
      return facts.paths[0]?.request.name ?? plan.lab;
    case 'grid':
      return 'No mesh, sidecar and ambient: every pair';
  }
}

/** What a reader should know of a run before believing it. */
function aboutRun(facts: RunFacts): readonly AboutLine[] {
  const frames = facts.interfaces.reduce((sum, each) => sum + each.frames, 0);
  const drops = facts.interfaces.reduce((sum, each) => sum + each.kernelDrops, 0);
  const clipped = facts.interfaces.reduce((sum, each) => sum + each.clippedFrames, 0);
  const started = new Date(Number(BigInt(facts.startedNs) / 1_000_000n)).toISOString();
  return [
    { name: 'Lab', value: facts.lab },
    { name: 'Topology', value: facts.topologyFile.split('/').at(-1) ?? facts.topologyFile },
    { name: 'Era', value: [facts.era, tunnelKindText(facts)].filter(Boolean).join(', ') },
    { name: 'Recorded', value: started },
    {
      name: 'Packets',
      value: `${counted(frames, 'frame')} on ${counted(facts.interfaces.length, 'interface')}, ${drops === 0 ? 'none lost' : `${drops} LOST`}, ${clipped === 0 ? 'none clipped' : `${clipped} clipped`}`,
    },
    {
      name: 'Marks',
      value: facts.hasMarks
        ? 'socket marks as the kernel told them'
        : 'not known: this kernel has no SO_RCVMARK',
    },
  ];
}

/** The machine in lines of a report. */
export function aboutMachine(machine: Machine): readonly AboutLine[] {
  const { system, kernel, architecture, processors, memoryBytes, node } = machine;
  return [
    { name: 'System', value: system },
    { name: 'Kernel', value: `${kernel}, ${architecture}` },
    {
      name: 'Machine',
      value: `${counted(processors, 'processor')}, ${formatBytes(memoryBytes)} of memory`,
    },
    { name: 'Node.js', value: node },
  ];
}
