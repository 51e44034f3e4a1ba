import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { CAPTURE_FILES } from '../capture/layout.ts';
import { PcapngError } from '../capture/pcapng.ts';
import type { Plan } from '../plan/plan.ts';
import { analyseCapture } from './analyse-capture.ts';
import { dissect, type Dissection } from './dissect/dissect.ts';
import type { EvidenceFiles } from './evidence-files.ts';
import { readEvidence } from './evidence-files.ts';
import type { Problem, RunFacts } from './facts.ts';
import type { RequestResult } from './request.ts';

export interface AnalyseOptions {
  /** Run directory, laid out as `CAPTURE_FILES` says. */
  readonly dir: string;
  readonly plan: Plan;
  readonly requests: readonly RequestResult[];
}

/**
 * Reads a run directory into facts. What is missing or unreadable there becomes a problem in the
 * facts, never an exception: the judge says what it needs.
 */
export async function analyseRun({ dir, plan, requests }: AnalyseOptions): Promise<RunFacts> {
  const evidence = await readEvidence(dir);
  const files = await readInterfaces(dir, evidence);
  const capture = dissectAll(files, evidence.keyLog);
  return analyseCapture({
    plan,
    requests,
    capture,
    evidence: { ...evidence, problems: [...evidence.problems, ...files.problems] },
    fileOf: (name) => pathOf(evidence, name),
  });
}

interface InterfaceFiles {
  readonly buffers: readonly Buffer[];
  readonly problems: Problem[];
}

async function readInterfaces(dir: string, evidence: EvidenceFiles): Promise<InterfaceFiles> {
  const buffers: Buffer[] = [];
  const problems: Problem[] = [];
  for (const { netns, name } of evidence.recording?.interfaces ?? []) {
    const file = pathOf(evidence, `${netns}/${name}`);
    try {
      buffers.push(await readWhole(join(dir, file)));
    } catch (error) {
      const { message } = error as Error;
      problems.push({
        kind: 'unreadable-file',
        file,
        text: `the file of ${netns}/${name}: ${message}`,
      });
    }
  }
  return { buffers, problems };
}

/** In one read: `readFile` of promises takes a file in pieces of half a megabyte. */
async function readWhole(path: string): Promise<Buffer> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const buffer = Buffer.allocUnsafeSlow(size);
  const { bytesRead } = await file.read(buffer, 0, size, 0);
  return buffer.subarray(0, bytesRead);
}

/** One file that is no whole pcapng must not take the others with it. */
function dissectAll({ buffers, problems }: InterfaceFiles, keyLog: string): Dissection {
  try {
    return dissect(buffers, keyLog);
  } catch (error) {
    if (!(error instanceof PcapngError)) throw error;
    const whole = buffers.filter((buffer) => isWhole(buffer, problems));
    return dissect(whole, keyLog);
  }
}

function isWhole(buffer: Buffer, problems: Problem[]): boolean {
  try {
    dissect([buffer]);
    return true;
  } catch (error) {
    if (!(error instanceof PcapngError)) throw error;
    const text = `whole capture files: ${error.message}`;
    problems.push({ kind: 'unreadable-file', text });
    return false;
  }
}

/** File of an interface below the run directory. */
function pathOf({ recording }: EvidenceFiles, interfaceName: string): string {
  const found = recording?.interfaces.find(
    ({ netns, name }) => `${netns}/${name}` === interfaceName,
  );
  return `${CAPTURE_FILES.interfaces}/${found?.file ?? `${interfaceName.replace('/', '--')}.pcapng`}`;
}
