import { setTimeout as sleep } from 'node:timers/promises';
import { KernelError } from '../../dataplane/kernel/errors.ts';
import { closeNetns, openNetns } from '../../dataplane/kernel/netns.ts';
import { watchFd } from '../../dataplane/kernel/poll.ts';
import { closeFd, connectFd, openSocket, socketError } from '../../dataplane/kernel/sockets.ts';
import type { PodPlan } from '../plan/plan.ts';
import type { Lab } from '../world/lab.ts';
import { netnsPath, seenFromOutside } from '../world/paths.ts';
import type { ConnectOutcome, HboneProbe } from './evidence.ts';

/** ztunnel's own mark: its packets are not redirected. */
const ZTUNNEL_MARK = 0x539;
const HBONE_PORT = 15008;
/** A lost SYN is sent again after a second: one that was lost by chance gets its chance. */
const PATIENCE_MS = 1_600;
const ECONNREFUSED = 111;

/** Knocks at port 15008 of each pod, from the first of the others, as their ztunnel would. */
export function probeHbone(lab: Lab, pods: readonly PodPlan[]): Promise<readonly HboneProbe[]> {
  return Promise.all(
    pods.flatMap((to) => {
      const others = pods.filter(({ uid }) => uid !== to.uid);
      const from = others.find(({ node }) => node !== to.node) ?? others[0];
      return from === undefined ? [] : [probe(lab, from, to)];
    }),
  );
}

async function probe(lab: Lab, from: PodPlan, to: PodPlan): Promise<HboneProbe> {
  const { address, uid: toUid } = to;
  const names = { from: `${from.namespace}/${from.name}`, to: `${to.namespace}/${to.name}` };
  const hbone = await knock(lab, from.netns, address, HBONE_PORT);
  const made = { ...names, toUid, address, hbone, patienceMs: PATIENCE_MS };
  const app = to.apps.find(({ kind }) => kind === 'http' || kind === 'tcp-echo');
  if (hbone === 'connected' || app === undefined || app.kind === 'command') return made;
  const { port } = app;
  return { ...made, app: { port, outcome: await knock(lab, from.netns, address, port) } };
}

/** One connection, closed as soon as it is there. */
async function knock(
  lab: Lab,
  netns: string,
  address: string,
  port: number,
): Promise<ConnectOutcome> {
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const place = openNetns(seenFromOutside(lab, netnsPath(netns)));
  let fd: number | undefined;
  try {
    fd = openSocket({ netns: place, family, mark: ZTUNNEL_MARK });
    if (connectFd(fd, family, { address, port })) return 'connected';
    return await ended(fd);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return error.errno === ECONNREFUSED ? 'refused' : 'unreachable';
  } finally {
    if (fd !== undefined) closeFd(fd);
    closeNetns(place);
  }
}

async function ended(fd: number): Promise<ConnectOutcome> {
  const listening = new AbortController();
  const late = sleep(PATIENCE_MS, 'timeout' as const, { signal: listening.signal });
  late.catch(() => undefined);
  let onReady: () => void = () => {};
  const ready = new Promise<ConnectOutcome>((resolve) => {
    onReady = () => {
      const errno = socketError(fd);
      resolve(errno === 0 ? 'connected' : errno === ECONNREFUSED ? 'refused' : 'unreachable');
    };
  });
  using _watch = watchFd(fd, () => onReady(), { writable: true });
  try {
    return await Promise.race([ready, late]);
  } finally {
    listening.abort();
  }
}
