import { join } from 'node:path';
import { LabError } from './errors.ts';

/** Where labs have their directories on the machine; the only thing a lab can leave behind. */
export const LABS_ROOT = '/run/ambient-lab';

/** Files of one lab's directory. Everything in it dies with the directory. */
export interface LabPaths {
  readonly directory: string;
  /** Held with flock by the supervisor; a lab is alive as long as somebody holds it. */
  readonly lock: string;
  /** Control socket, root only. */
  readonly control: string;
  readonly plan: string;
  /** Standard error of the supervisor and of its programs, one file each below `logs`. */
  readonly logs: string;
  /** TLS secrets and leg records of every ztunnel. */
  readonly keys: string;
  readonly legs: string;
}

const NAME = /^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/;

/** @throws LabError LAB_BAD_NAME for what is no name of a lab (it becomes a directory). */
export function labPaths(name: string): LabPaths {
  if (!NAME.test(name)) {
    throw new LabError(
      'LAB_BAD_NAME',
      `Cannot use "${name}" as the name of a lab: lower-case letters, digits and "-" are wanted, 42 at most`,
    );
  }
  const directory = join(LABS_ROOT, name);
  return {
    directory,
    lock: join(directory, 'lock'),
    control: join(directory, 'control.sock'),
    plan: join(directory, 'plan.json'),
    logs: join(directory, 'logs'),
    keys: join(directory, 'keys.log'),
    legs: join(directory, 'legs.jsonl'),
  };
}

/** Whether a lab has its own directory here, so that what it writes there never gets to the machine. */
export function isHiddenInLab(path: string): boolean {
  return /^\/(run|proc|etc|sys)(\/|$)/.test(path);
}

/** Where Envoy is inside a lab: its user can reach it here, whatever folders it lies in outside. */
export const ENVOY_IN_LAB = '/run/envoy/envoy';

/** Where a namespace can be opened inside the lab, as `ip netns` knows it. */
export function netnsPath(netns: string): string {
  return `/run/netns/${netns}`;
}

/**
 * Sockets of one node's agent and ztunnel, inside the lab: on a real node a host directory that
 * both mount. The names are Istio's own (`/var/run/ztunnel/ztunnel.sock`, `pluginevent.sock`).
 */
export function nodeSockets(node: string): { readonly zds: string; readonly plugin: string } {
  return {
    zds: `/run/ztunnel/${node}/ztunnel.sock`,
    plugin: `/run/istio-cni/${node}/pluginevent.sock`,
  };
}

/** A path inside a lab as the machine sees it: through the mounts of the lab's PID 1. */
export function seenFromOutside(
  { supervisorPid }: { readonly supervisorPid: number },
  path: string,
): string {
  return join('/proc', String(supervisorPid), 'root', path);
}
