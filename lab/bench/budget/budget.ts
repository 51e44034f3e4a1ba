import { join } from 'node:path';
import { CLIENT_POD, NAMESPACE, PORTS, SERVER_POD } from '../mesh/bench-plan.ts';
import { BODY_BYTES, type BenchLab } from '../mesh/bench-lab.ts';
import type { ModeName } from '../mesh/modes.ts';
import { REQUEST } from '../load/http-lane.ts';
import { median } from '../statistics.ts';
import { type DataFrame, readDataFrames } from './data-frames.ts';
import { type Ends, type Part, PARTS, splitRequest, type SplitRequest } from './split-request.ts';

/** Where the median request of a mode spends its time, as captured time stamps tell. */
export interface ModeBudget {
  readonly mode: ModeName;
  readonly requests: number;
  /** Requests whose whole way was seen; the others are left out. */
  readonly split: number;
  /** Of the requests that were split, recorded as they were: recording costs, too. */
  readonly medianUs: number;
  /** Means of the middle fifth of the requests: they add up to about the median. */
  readonly partsUs: Readonly<Record<Part, number>>;
  /** Connections one request goes over, and interfaces it is seen on, there and back. */
  readonly legs: number;
  readonly sightings: number;
  /** Of the requests between the nodes, those that could be read there. */
  readonly readable: number;
  readonly kernelDrops: number;
}

export interface BudgetOptions {
  /** Directory of the captures, one a mode below it. */
  readonly directory: string;
  readonly requests: number;
}

const RATE = 200;
const SNAP_BYTES = 160;
/** A window is not the first thing that a new connection sees. */
const WARM_UP_MS = 200;
const FABRIC = 'fabric';

/** Makes some hundred requests over one connection, one at a time, with every interface recorded. */
export async function measureBudget(bench: BenchLab, options: BudgetOptions): Promise<ModeBudget> {
  const { lab, mode, load } = bench;
  const directory = join(options.directory, mode);
  await lab.startCapture(directory, { snapLength: SNAP_BYTES });
  const result = await load
    .run(
      {
        kind: 'open-loop',
        ...bench.targetOf('other-node', 'open-loop'),
        connections: 1,
        rate: RATE,
        warmUpMs: WARM_UP_MS,
        windowMs: (options.requests * 1_000) / RATE,
        isTraced: true,
      },
      { onOpened: () => undefined, onClosed: () => undefined },
    )
    .finally(() => lab.stopCapture());
  const { recording, frames } = await readDataFrames(directory);
  const since = BigInt(recording.startedNs);
  const traced = (result.latency?.trace ?? []).map(([sent, answered]) => ({
    sentNs: Number(BigInt(sent) - since),
    answeredNs: Number(BigInt(answered) - since),
  }));
  const ends = endsOf(bench);
  const byRequest = framesOf(traced, frames);
  const split = traced.flatMap((each, index) => splitRequest(each, byRequest[index]!, ends) ?? []);
  return {
    mode,
    requests: traced.length,
    split: split.length,
    ...summarise(split),
    readable: byRequest.filter(isReadable).length,
    kernelDrops: recording.interfaces.reduce((sum, each) => sum + each.kernelDrops, 0),
  };
}

function endsOf({ lab }: BenchLab): Ends {
  const podOf = (name: string) => {
    const pod = lab.plan.pods.find((each) => each.name === name && each.namespace === NAMESPACE);
    if (pod === undefined) throw new TypeError(`Cannot find pod "${name}" in its own plan`);
    return pod;
  };
  const client = podOf(CLIENT_POD);
  const server = podOf(SERVER_POD['other-node']);
  return {
    clientIp: client.address,
    serverIp: server.address,
    appPort: PORTS.http.pod,
    clientNetns: client.netns,
    serverNetns: server.netns,
    requestBytes: REQUEST.length,
    bodyBytes: BODY_BYTES,
  };
}

/** Frames of each request, which are those of its time: both lists are in order. */
function framesOf(
  traced: readonly { readonly sentNs: number; readonly answeredNs: number }[],
  frames: readonly DataFrame[],
): readonly (readonly DataFrame[])[] {
  let at = 0;
  return traced.map(({ sentNs, answeredNs }) => {
    while (at < frames.length && frames[at]!.atNs < sentNs) at++;
    let end = at;
    while (end < frames.length && frames[end]!.atNs <= answeredNs) end++;
    return frames.slice(at, end);
  });
}

function isReadable(frames: readonly DataFrame[]): boolean {
  const start = REQUEST.subarray(0, 5);
  return frames.some(({ netns, head }) => netns === FABRIC && head.subarray(0, 5).equals(start));
}

function summarise(
  split: readonly SplitRequest[],
): Pick<ModeBudget, 'medianUs' | 'partsUs' | 'legs' | 'sightings'> {
  const sorted = [...split].sort((a, b) => a.totalNs - b.totalNs);
  const middle = sorted.slice(Math.floor(sorted.length * 0.4), Math.ceil(sorted.length * 0.6));
  const meanUs = (part: Part): number =>
    middle.reduce((sum, { partsNs }) => sum + partsNs[part], 0) / middle.length / 1_000;
  return {
    medianUs: median(sorted.map(({ totalNs }) => totalNs)) / 1_000,
    partsUs: Object.fromEntries(PARTS.map((part) => [part, meanUs(part)])) as Record<Part, number>,
    legs: median(split.map(({ legs }) => legs)),
    sightings: median(split.map(({ sightings }) => sightings)),
  };
}
