import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { Random } from './random.ts';

/** A module that must bear any input, and where its inputs come from. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- targets of all inputs are in one list
export interface FuzzTarget<Input = any> {
  readonly name: string;
  /** Good inputs: the module accepts each. */
  readonly seeds: readonly Input[];
  readonly mutate: (random: Random) => Input;
  /**
   * Feeds one input and checks what must hold of an accepted one; `false` where the module refuses
   * without an exception. What it throws is an error that the module promises, or a fault.
   */
  readonly feed: (input: Input, random: Random) => unknown;
  /** True for an error of the class and with the code that the module promises. */
  readonly isPromised: (error: unknown) => boolean;
  /** Most milliseconds one input may take: of the processor, of the clock where it waits. */
  readonly limitMs?: number;
  /** Lets go of what the target holds; throws where something is left that must not be. */
  readonly finish?: () => unknown;
}

/** Targets of one module by name; each call makes a fresh one. */
export type FuzzTargets = Readonly<Record<string, () => FuzzTarget | Promise<FuzzTarget>>>;

export interface CampaignOptions {
  readonly seed: number;
  /** First input; inputs are numbered from 0. */
  readonly from?: number;
  readonly count: number;
  /** Told before each input, so that a crash or a hang has a number. */
  readonly onInput?: (index: number) => void;
}

export interface CampaignFault {
  readonly index: number;
  readonly error: string;
  readonly input: string;
}

export interface CampaignResult {
  readonly name: string;
  readonly seed: number;
  readonly inputs: number;
  readonly accepted: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly slowestIndex: number;
  /** Live memory, on and off the heap, after a tenth of the inputs and after all. */
  readonly earlyMb: number;
  readonly lateMb: number;
  /** The most that was resident, what the allocator keeps included. */
  readonly maxRssMb: number;
  readonly faults: readonly CampaignFault[];
}

const DEFAULT_LIMIT_MS = 1_000;
/** Later faults are mostly the first ones again. */
const MAX_FAULTS = 5;

/** Inputs between two turns of the event loop: memory outside the heap is given back there. */
const TURN_EVERY = 50;

/** Feeds `count` mutated inputs. Never throws for what the module does: faults are in the result. */
export async function runCampaign<Input>(
  target: FuzzTarget<Input>,
  options: CampaignOptions,
): Promise<CampaignResult> {
  const { seed, from = 0, count } = options;
  const tally = new Tally(target, seed);
  for (const input of target.seeds) await tally.feedSeed(input);
  let earlyMb = await liveMb();
  for (let index = from; index < from + count; index++) {
    options.onInput?.(index);
    const input = inputOf(target, seed, index);
    await tally.feed(input, index);
    if (tally.faults.length >= MAX_FAULTS) break;
    if (index % TURN_EVERY === 0) await new Promise(setImmediate);
    if (index - from === Math.floor(count / 10)) earlyMb = await liveMb();
  }
  await tally.finish(from + count);
  return tally.result(earlyMb, await liveMb());
}

/** Input number `index` of a campaign. */
export function inputOf<Input>(target: FuzzTarget<Input>, seed: number, index: number): Input {
  return target.mutate(new Random(seed, index));
}

class Tally<Input> {
  readonly faults: CampaignFault[] = [];
  readonly #target: FuzzTarget<Input>;
  readonly #seed: number;
  readonly #refused: Record<string, number> = {};
  #inputs = 0;
  #accepted = 0;
  #slowestMs = 0;
  #slowestIndex = -1;

  constructor(target: FuzzTarget<Input>, seed: number) {
    this.#target = target;
    this.#seed = seed;
  }

  /** Each seed is good; a campaign on seeds that the module refuses says nothing. */
  async feedSeed(input: Input): Promise<void> {
    try {
      if ((await this.#target.feed(input, new Random(this.#seed))) === false) {
        this.#addFault(-1, new Error('The unmutated seed is refused'), input);
      }
    } catch (error) {
      this.#addFault(-1, error, input);
    }
  }

  async finish(index: number): Promise<void> {
    try {
      await this.#target.finish?.();
    } catch (error) {
      this.#addFault(index, error, undefined);
    }
  }

  async feed(input: Input, index: number): Promise<void> {
    this.#inputs++;
    const ms = await this.#timed(input, index, true);
    if (ms <= this.#slowestMs) return;
    const best = await this.#again(input, index, ms);
    if (best <= this.#slowestMs) return;
    this.#slowestMs = best;
    this.#slowestIndex = index;
    const limitMs = this.#target.limitMs ?? DEFAULT_LIMIT_MS;
    if (best > limitMs) {
      this.#addFault(index, new Error(`${best} ms, at most ${limitMs} wished`), input);
    }
  }

  result(earlyMb: number, lateMb: number): CampaignResult {
    return {
      name: this.#target.name,
      seed: this.#seed,
      inputs: this.#inputs,
      accepted: this.#accepted,
      refused: this.#refused,
      slowestMs: Math.round(this.#slowestMs * 10) / 10,
      slowestIndex: this.#slowestIndex,
      earlyMb,
      lateMb,
      maxRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
      faults: this.faults,
    };
  }

  /** The least of some runs: one alone may have waited, or collected garbage of others. */
  async #again(input: Input, index: number, ms: number): Promise<number> {
    let best = ms;
    for (let run = 0; run < 2; run++) best = Math.min(best, await this.#timed(input, index, false));
    return best;
  }

  async #timed(input: Input, index: number, isCounted: boolean): Promise<number> {
    const startMs = performance.now();
    const cpuAtStart = process.cpuUsage();
    let isWaiting = false;
    let isAccepted = false;
    let refusal: unknown;
    try {
      const pending = this.#target.feed(input, new Random(this.#seed, index));
      isWaiting = pending instanceof Promise;
      isAccepted = (isWaiting ? await pending : pending) !== false;
    } catch (error) {
      refusal = error;
    }
    const ms = isWaiting ? performance.now() - startMs : cpuMs(cpuAtStart);
    if (!isCounted) return ms;
    if (isAccepted) this.#accepted++;
    else this.#countRefusal(refusal, index, input);
    return ms;
  }

  #countRefusal(error: unknown, index: number, input: Input): void {
    if (error !== undefined && !this.#target.isPromised(error)) {
      this.#addFault(index, error, input);
      return;
    }
    const { code = 'refused' } = (error ?? {}) as { readonly code?: string };
    this.#refused[code] = (this.#refused[code] ?? 0) + 1;
  }

  #addFault(index: number, error: unknown, input: Input | undefined): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : inspect(error);
    this.faults.push({ index, error: text.slice(0, 3_000), input: excerpt(input) });
  }
}

/** Processor time of this process: the machine may be busy with others. */
function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000;
}

function excerpt(input: unknown): string {
  const text = Buffer.isBuffer(input)
    ? `${input.length} bytes ${input.subarray(0, 512).toString('hex')}`
    : inspect(input, { maxStringLength: 2_000, maxArrayLength: 50 });
  return text.slice(0, 3_000);
}

/** Buffers outside the heap go some turns after their objects were collected. */
async function liveMb(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    globalThis.gc?.();
    await sleep(10);
  }
  const { heapUsed, external } = process.memoryUsage();
  return Math.round(((heapUsed + external) / 2 ** 20) * 10) / 10;
}
