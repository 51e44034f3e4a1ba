import type { Socket } from 'node:net';
import { peerCredentials } from '../../dataplane/kernel/process.ts';
import type { Plan } from '../plan/plan.ts';
import { ControlClient } from './control-client.ts';
import { LabError } from './errors.ts';
import type { CreateLabOptions, Lab } from './lab.ts';
import { isAlive, isDead, listLabs } from './lab-directory.ts';
import { LiveLab } from './live-lab.ts';
import { labPaths, type LabPaths } from './paths.ts';
import { launchSupervisor } from './launch.ts';
import { untilSettled } from './settled.ts';

export { gc, listLabs, removeDeadLab } from './lab-directory.ts';

/** Resolves when no lab of this machine is dying or starting, after 2 s at most. */
export async function untilLabsSettled(): Promise<void> {
  await Promise.all(listLabs().map(({ name }) => untilSettled(labPaths(name))));
}

/**
 * Builds a world and gives it when everything in it is ready: namespaces, links, rules, programs,
 * enrolment, apps. Without `detached` the lab ends with this process, however that ends, and with
 * the disposal of what is returned.
 *
 * @throws LabError LAB_NOT_ROOT, LAB_EXISTS when the name is taken, LAB_START_FAILED and others of
 * building; nothing is left of the lab then
 */
export async function createLab(plan: Plan, options: CreateLabOptions = {}): Promise<Lab> {
  requireRoot();
  const paths = labPaths(plan.lab);
  await untilSettled(paths);
  const supervisor = await launchSupervisor(plan, paths, options);
  try {
    const control = await connectControl(plan.lab, paths);
    return new LiveLab(plan, paths, control, options.detached === true ? undefined : supervisor);
  } catch (error) {
    await supervisor.kill();
    throw error;
  }
}

/**
 * A running lab, from any process of root. Disposing of it only lets go of the connection.
 *
 * @throws LabError LAB_NOT_RUNNING, LAB_BAD_NAME
 */
export async function connectLab(name: string): Promise<Lab> {
  requireRoot();
  const paths = labPaths(name);
  await untilSettled(paths);
  if (!isAlive(paths)) throw notRunning(name, paths);
  const control = await connectControl(name, paths);
  return new LiveLab(await control.call('plan', {}), paths, control, undefined);
}

function connectControl(name: string, paths: LabPaths): Promise<ControlClient> {
  return ControlClient.connect(name, paths.control, peerPid);
}

/** The kernel's word, translated into this process's PID namespace. */
function peerPid(socket: Socket): number {
  const { fd } = (socket as unknown as { readonly _handle: { readonly fd: number } })._handle;
  return peerCredentials(fd).pid;
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new LabError(
    'LAB_NOT_ROOT',
    'Cannot reach a lab as a normal user: it is made of namespaces of root',
    {
      hint: 'Run it as root, for example with sudo',
    },
  );
}

function notRunning(name: string, paths: LabPaths): LabError {
  if (isDead(paths)) {
    return new LabError(
      'LAB_NOT_RUNNING',
      `Cannot reach lab "${name}": it was killed, only ${paths.directory} is left of it`,
      { hint: 'Remove that with "down" or "gc", or start the lab again with "up"' },
    );
  }
  return new LabError('LAB_NOT_RUNNING', `Cannot reach lab "${name}": no lab of that name runs`, {
    hint: 'Start it with "up", or list what runs with "status"',
  });
}
