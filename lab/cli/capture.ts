import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { CAPTURE_FILES, type Recording } from '../capture/layout.ts';
import { analyseRun } from '../facts/analyse-run.ts';
import { embedSecrets } from '../facts/embed-secrets.ts';
import { writeStory } from '../facts/story.ts';
import { settle } from '../run/settle.ts';
import { inRunDirectory } from '../run/results.ts';
import type { Lab } from '../world/lab.ts';
import { labPaths } from '../world/paths.ts';
import { captureFrom } from './capture-from.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { CommandError, EXIT } from './exit.ts';
import type { Output } from './output.ts';
import { resultsOption, findLab } from './world.ts';

/** The longest that a timer can be, 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const EXAMPLE = `
Example:
  npm run lab -- capture --seconds 5
  npm run lab -- exec sleep -- tcpdump -U -w - -i eth0 | node scripts/ambient-lab.mjs capture --from -`;

interface CaptureOptions {
  readonly from?: string;
  readonly name: string;
  readonly keys?: string;
  readonly lab?: string;
  readonly seconds?: string;
  readonly snapLength?: string;
  readonly results: string;
  readonly json?: boolean;
}

/** `capture`: record every interface of a running lab, decrypted and named. */
export function addCapture(program: Command, context: CommandContext): void {
  program
    .command('capture')
    .summary('record every interface of a running lab')
    .description(
      'Records every interface of every namespace until the time is over or Ctrl-C, without loss\n' +
        '(kernel drops end with exit code 1), and writes captures that open decrypted in Wireshark.\n' +
        'With --from it takes over what a running tcpdump writes instead, and says who talked to whom.',
    )
    .option('--from <file>', 'take over a pcap stream of tcpdump -U -w -; `-` for standard input')
    .option('--name <name>', 'what the stream is called in the file', 'tcpdump')
    .option('--keys <file>', 'TLS secrets for --from, in NSS key log format')
    .option('--lab <name>', 'which lab, when several run')
    .option('--seconds <n>', 'how long; until interrupted unless given')
    .option('--snap-length <bytes>', 'bytes kept of each frame; all unless given')
    .addOption(resultsOption('where the capture goes'))
    .option('--json', 'what was recorded as one JSON value on stdout')
    .addHelpText('after', EXAMPLE)
    .action(async (options: CaptureOptions) => {
      const output = context.output(options.json === true);
      if (options.from !== undefined) return captureFrom(options.from, options, output);
      requireRoot('capture');
      const seconds = readNumber('--seconds', options.seconds);
      const snapLength = readNumber('--snap-length', options.snapLength);
      await using lab = await findLab(options.lab);
      const name = `${lab.name}-capture`;
      process.exitCode = await inRunDirectory(
        options.results,
        name,
        new Date(),
        async (directory) => {
          await lab.startCapture(directory, { snapLength });
          output.note(
            seconds === undefined ? 'Recording; Ctrl-C ends it.' : `Recording for ${seconds} s.`,
          );
          const recording = await record(lab, directory, seconds, context.signal);
          await tellStory(lab, directory);
          return report(output, directory, recording);
        },
      );
    });
}

/** Waits for the end of the recording, by time, by hand, or with the lab that goes down. */
async function record(
  lab: Lab,
  directory: string,
  seconds: number | undefined,
  interrupt: AbortSignal,
): Promise<Recording> {
  const done = new AbortController();
  const signal = AbortSignal.any([interrupt, done.signal]);
  const isDown = await Promise.race([
    sleep(Math.min((seconds ?? Infinity) * 1000, MAX_TIMER_MS), false, { signal }).catch(
      () => false,
    ),
    lab.ended().then(() => true),
  ]);
  done.abort();
  if (isDown) return readRecording(lab, directory);
  await settle(labPaths(lab.name).legs, { quietMs: 60, timeoutMs: 1_000 });
  return lab.stopCapture();
}

/** A lab that goes down in order finishes its recording first; one that is killed cannot. */
async function readRecording(lab: Lab, directory: string): Promise<Recording> {
  try {
    return JSON.parse(
      await readFile(join(directory, CAPTURE_FILES.recording), 'utf8'),
    ) as Recording;
  } catch {
    throw new CommandError(
      'LAB_SUPERVISOR_DIED',
      `Cannot finish the recording: lab "${lab.name}" was killed`,
      `What was recorded until then is in ${directory}`,
    );
  }
}

async function tellStory(lab: Lab, directory: string): Promise<void> {
  await writeFile(join(directory, CAPTURE_FILES.plan), JSON.stringify(lab.plan, null, 2));
  const facts = await analyseRun({ dir: directory, plan: lab.plan, requests: [] });
  await embedSecrets(directory, facts);
  await writeStory({ dir: directory, plan: lab.plan, facts });
  await writeFile(join(directory, CAPTURE_FILES.facts), JSON.stringify(facts, null, 2));
}

function report(output: Output, directory: string, recording: Recording): number {
  const drops = recording.interfaces.reduce((sum, { kernelDrops }) => sum + kernelDrops, 0);
  const frames = recording.interfaces.reduce((sum, entry) => sum + entry.frames, 0);
  output.result({ directory, ...recording }, () => {
    const lost = drops === 0 ? 'no frame lost' : `${drops} frames LOST`;
    return `${frames} frames on ${recording.interfaces.length} interfaces, ${lost}\n${directory}`;
  });
  return drops === 0 ? EXIT.held : EXIT.failed;
}

function readNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new CommandError(
    'LAB_BAD_OPTION',
    `Cannot use "${text}" for ${option}: a number is wanted`,
  );
}
