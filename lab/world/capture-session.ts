import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { realtimeNs } from '../../dataplane/kernel/process.ts';
import { CAPTURE_FILES, type Recording } from '../capture/layout.ts';
import { startRecorder, type RecorderClient } from '../capture/recorder-client.ts';
import type { Plan } from '../plan/plan.ts';
import { fdOf, type NetnsTable } from './build.ts';
import type { ChildTable } from './child-table.ts';
import { LabError } from './errors.ts';
import type { CaptureStartOptions, LabStatus } from './lab.ts';
import { netnsPath, type LabPaths } from './paths.ts';
import { programEnv } from './program-env.ts';
import { programArgv } from './programs.ts';

/** Time for the last FINs and leg records of connections that were just closed. */
const SETTLE_MS = 60;

export interface CaptureOwner {
  readonly plan: Plan;
  readonly paths: LabPaths;
  readonly netns: NetnsTable;
  readonly children: ChildTable;
}

/** One recording of all interfaces of the lab; keys, leg records and the plan are put beside it. */
export class CaptureSession {
  readonly directory: string;
  readonly startedNs = realtimeNs();
  readonly #owner: CaptureOwner;
  readonly #recorder: RecorderClient;

  private constructor(directory: string, owner: CaptureOwner, recorder: RecorderClient) {
    this.directory = directory;
    this.#owner = owner;
    this.#recorder = recorder;
  }

  /** @throws {RecorderError}, LabError LAB_BAD_DIRECTORY */
  static async start(
    owner: CaptureOwner,
    directory: string,
    options: CaptureStartOptions,
  ): Promise<CaptureSession> {
    if (!directory.startsWith('/') || /^\/(run|proc)(\/|$)/.test(directory)) {
      throw new LabError(
        'LAB_BAD_DIRECTORY',
        `Cannot record into "${directory}": an absolute path outside /run is wanted`,
        { hint: 'A lab has a /run of its own' },
      );
    }
    mkdirSync(directory, { recursive: true });
    const { plan, netns, children } = owner;
    const child = await children.start({
      kind: 'recorder',
      name: 'recorder',
      node: '',
      netns: '',
      netnsFd: fdOf(netns, plan.netns[0]?.name ?? ''),
      argv: programArgv('recorder'),
      env: programEnv(),
      ipc: true,
    });
    const snapLength = options.snapLength ?? plan.capture.snapLength;
    const recorder = await startRecorder({
      netns: plan.netns.map(({ name }) => ({ name, path: netnsPath(name) })),
      dir: directory,
      snapLength: snapLength === 0 ? undefined : snapLength,
      bufferBytes: options.bufferBytes,
      process: child.process,
    });
    child.state = 'ready';
    return new CaptureSession(directory, owner, recorder);
  }

  /** Afterwards every file that `CAPTURE_FILES` names for a recording is complete. */
  async stop(): Promise<Recording> {
    await sleep(SETTLE_MS);
    const recording = await this.#recorder.stop();
    const { plan, paths } = this.#owner;
    for (const [from, name] of [
      [paths.keys, CAPTURE_FILES.keys],
      [paths.legs, CAPTURE_FILES.legs],
    ] as const) {
      const to = join(this.directory, name);
      if (existsSync(from)) copyFileSync(from, to);
      else writeFileSync(to, '');
    }
    writeFileSync(join(this.directory, CAPTURE_FILES.plan), `${JSON.stringify(plan, null, 2)}\n`);
    return recording;
  }

  status(): LabStatus['capture'] {
    return { directory: this.directory, startedNs: this.startedNs.toString() };
  }
}
