import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CAPTURE_FILES } from '../capture/layout.ts';
import { dissect, type Dissection } from '../facts/dissect/dissect.ts';
import type { ScenarioRequest } from '../../topologies/topology.ts';
import type { Connection, Path, RunFacts } from '../facts/facts.ts';
import type { Finished } from '../hosts/run.ts';
import { lackOfPackets } from '../judge/evidence.ts';
import { observe } from '../run/observe.ts';
import { readRules, type RulesReading } from '../run/read-rules.ts';
import { createLab } from '../world/client.ts';
import { finishInPlace, type InPlaceOptions } from '../world/in-place.ts';
import type { Lab } from '../world/lab.ts';
import type { ClaimEra } from './claim.ts';
import { EvidenceMissing } from './finding.ts';
import { makeRequests } from './make-requests.ts';
import { planSideWorld, type SideWorldOptions } from './side-worlds.ts';

/** What a check may look at: a running lab and the recording that all claims share. */
export class ClaimWorld {
  readonly lab: Lab;
  /** What claims are asked of: a generation of the redirect, or sidecars. */
  readonly era: ClaimEra;
  readonly #facts: RunFacts | undefined;
  readonly #directory: string;
  readonly #happened = new Map<string, Promise<unknown>>();
  #dissection: Promise<Dissection> | undefined;

  constructor(
    lab: Lab,
    directory: string,
    facts: RunFacts | undefined,
    era: ClaimEra = lab.plan.era,
  ) {
    this.lab = lab;
    this.era = era;
    this.#directory = directory;
    this.#facts = facts;
  }

  /** @throws {EvidenceMissing} when the recording cannot decide anything */
  get facts(): RunFacts {
    if (this.#facts === undefined) throw new EvidenceMissing('a recording');
    const lack = lackOfPackets(this.#facts);
    if (lack !== undefined) throw new EvidenceMissing(lack);
    return this.#facts;
  }

  /** The paths of a request of the shared recording. @throws {EvidenceMissing} */
  paths(name: string): readonly [Path, ...Path[]] {
    const [first, ...others] = this.facts.paths.filter(({ request }) => request.name === name);
    if (first === undefined) throw new EvidenceMissing(`the request "${name}" in the recording`);
    return [first, ...others];
  }

  path(name: string): Path {
    return this.paths(name)[0];
  }

  /** The connection of a leg, counted from 1. @throws {EvidenceMissing} */
  connection(path: Path, legNumber: number): Connection {
    const leg = path.legs[legNumber - 1];
    const found = this.facts.connections[leg?.connection ?? -1];
    if (found !== undefined) return found;
    throw new EvidenceMissing(`leg ${legNumber} of "${path.request.name}" in the recording`);
  }

  /** The connection that carries the HBONE leg of a request; undefined when it has none. */
  tunnel(path: Path): Connection | undefined {
    const leg = path.legs.find(({ encapsulation }) => encapsulation === 'hbone');
    return leg && this.facts.connections[leg.connection];
  }

  /** Packets below the facts: every frame, HTTP/2 frame and header of the shared recording. */
  dissection(): Promise<Dissection> {
    this.#dissection ??= this.#dissect();
    return this.#dissection;
  }

  /** Runs a program in a place of the lab to its end. */
  run(
    target: string,
    argv: readonly string[],
    { timeoutMs = 10_000, ...options }: InPlaceOptions = {},
  ): Promise<Finished> {
    return finishInPlace(this.lab, target, argv, { timeoutMs, ...options });
  }

  /** Standard output of a program that has to succeed. @throws {EvidenceMissing} */
  async read(target: string, ...argv: readonly string[]): Promise<string> {
    const done = await this.run(target, argv);
    if (done.exitCode === 0) return done.stdout;
    const why = done.stderr.trim().split('\n')[0] ?? '';
    throw new EvidenceMissing(`"${argv.join(' ')}" in ${target} (exit ${done.exitCode}: ${why})`);
  }

  rules(target: string): Promise<RulesReading> {
    return readRules(this.lab, target);
  }

  /** Lines of a node's ztunnel log so far. */
  async ztunnelLog(node: string): Promise<readonly string[]> {
    const file = join(this.lab.directory, 'logs', `ztunnel-${node}.log`);
    return (await readFile(file, 'utf8').catch(() => '')).split('\n');
  }

  /** A recording of its own while `make` runs, with what it shows. */
  async record(name: string, make: () => Promise<void>): Promise<Dissection> {
    const directory = `${this.#directory}-${name}`;
    const { facts } = await observe(this.lab, { directory, snapLength: 0 }, async () => {
      await make();
      return [];
    });
    return dissectAll(directory, facts);
  }

  /** The same world with a recording of these requests, each made as often as it says. */
  async observing(
    name: string,
    requests: Readonly<Record<string, ScenarioRequest>>,
  ): Promise<ClaimWorld> {
    const directory = `${this.#directory}-${name}`;
    const { facts } = await observe(this.lab, { directory, snapLength: 0 }, () =>
      makeRequests(this.lab, requests),
    );
    return new ClaimWorld(this.lab, directory, facts, this.era);
  }

  /** What several claims read of one and the same happening, which happens once. */
  once<T>(name: string, make: () => Promise<T>): Promise<T> {
    const known = this.#happened.get(name) ?? make();
    this.#happened.set(name, known);
    return known as Promise<T>;
  }

  /** A small world of its own, from its start to its end, for what this one cannot show. */
  async beside<T>(
    name: string,
    options: SideWorldOptions,
    use: (aside: ClaimWorld) => Promise<T>,
  ): Promise<T> {
    await using lab = await createLab(planSideWorld(this.lab.plan, name, options));
    return await use(new ClaimWorld(lab, `${this.#directory}-${name}`, undefined));
  }

  /** Where the packets of an interface (`netns/name`) are, in a recording of its own. */
  fileOf(recording: string, place: string): string {
    const directory = `${basename(this.#directory)}-${recording}`;
    return join('..', directory, CAPTURE_FILES.interfaces, `${place.replace('/', '--')}.pcapng`);
  }

  async #dissect(): Promise<Dissection> {
    return dissectAll(this.#directory, this.facts);
  }
}

async function dissectAll(directory: string, { interfaces }: RunFacts): Promise<Dissection> {
  const buffers = interfaces.map(({ file }) => readFile(join(directory, file)));
  const keyLog = await readFile(join(directory, CAPTURE_FILES.keys), 'utf8');
  return dissect(await Promise.all(buffers), keyLog);
}
