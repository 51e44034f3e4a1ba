import { fstatSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeqpacketConnection } from '../../../dataplane/kernel/seqpacket.ts';
import { closeFd } from '../../../dataplane/kernel/sockets.ts';
import {
  decodeWorkloadRequest,
  encodeHello,
  encodeWorkloadResponse,
} from '../../../dataplane/zds/zds.ts';
import { netnsPath, nodeSockets } from '../../world/paths.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { EvidenceMissing, settle, together } from '../finding.ts';
import { listenersIn } from './pod-state.ts';

const SNAPSHOT_TIMEOUT_MS = 5_000;
const SAMPLES = 40;

interface Announced {
  readonly kind: string;
  readonly uid?: string;
  /** Inode of the namespace whose descriptor came along. */
  readonly inode?: number;
}

/** Connects to a node's agent as a ztunnel does, acknowledges all, and reads to SnapshotSent. */
async function snapshotOf(world: ClaimWorld, node: string): Promise<readonly Announced[]> {
  const root = `/proc/${world.lab.supervisorPid}/root`;
  const said: Announced[] = [];
  using connection = SeqpacketConnection.connect(`${root}${nodeSockets(node).zds}`);
  const complete = new Promise<void>((resolve) => {
    connection.once('close', resolve);
    connection.on('message', ({ data, fds }) => {
      const request = decodeWorkloadRequest(data);
      const [fd] = fds;
      const inode = fd === undefined ? {} : { inode: fstatSync(fd).ino };
      said.push({ ...request, ...inode });
      for (const each of fds) closeFd(each);
      void connection.send(encodeWorkloadResponse()).catch(() => undefined);
      if (request.kind === 'snapshotSent') resolve();
    });
  });
  await connection.send(encodeHello());
  await Promise.race([complete, sleep(SNAPSHOT_TIMEOUT_MS, undefined, { ref: false })]);
  return said;
}

/** Whoever connects to the agent is told of every enrolled pod, with its namespace, then the end. */
export async function replaysAllPods(world: ClaimWorld): Promise<Finding> {
  const { pods } = await world.lab.status();
  const wanted = pods.filter(({ node, enrolled }) => node === 'node2' && enrolled);
  const said = await snapshotOf(world, 'node2');
  const root = `/proc/${world.lab.supervisorPid}/root`;
  const isComplete = wanted.every(({ uid, netns }) =>
    said.some(
      (one) =>
        one.kind === 'add' &&
        one.uid === uid &&
        one.inode === statSync(`${root}${netnsPath(netns)}`).ino,
    ),
  );
  const isLast = said.findIndex(({ kind }) => kind === 'snapshotSent') === said.length - 1;
  const adds = said.filter(({ kind }) => kind === 'add');
  const text = `${adds.length} pods announced for ${wanted.length} enrolled, each with a descriptor of its own namespace: ${isComplete}; SnapshotSent last: ${isLast}`;
  const isSo = wanted.length > 0 && isComplete && isLast && adds.length === wanted.length;
  return settle(isSo, text, {
    evidence: said.map(({ kind, uid, inode }) => `${kind} ${uid ?? ''} ${inode ?? ''}`.trim()),
  });
}

/** A descriptor comes over the agent's socket, and all threads of ztunnel stay where they were. */
export async function entersOnlyToMakeSockets(world: ClaimWorld): Promise<Finding> {
  const handed = await replaysAllPods(world);
  const owner = (await listenersIn(world, 'far')).find(({ port }) => port === 15008)?.pid;
  if (owner === undefined) throw new EvidenceMissing('the process that listens on 15008');
  const script = `i=0; while [ $i -lt $1 ]; do readlink /proc/${owner}/task/*/ns/net; i=$((i+1)); done`;
  const places = async (samples: number): Promise<ReadonlySet<string>> => {
    const text = await world.read('ztunnel/node2', 'sh', '-c', script, 'sh', String(samples));
    return new Set(text.trim().split('\n'));
  };
  const sampling = places(SAMPLES);
  await world.lab.enrol('guest');
  const seen = await sampling;
  const own = (await world.read('ztunnel/node2', 'readlink', '/proc/self/ns/net')).trim();
  const has = (await listenersIn(world, 'guest')).some(({ port }) => port === 15008);
  const isBack = await allIn(own, () => places(1));
  await world.lab.leave('guest');
  const text = `during ${SAMPLES} samples of all threads around an enrolment ztunnel was in ${[...seen].join(' ')}, its own is ${own}; sockets in the pod: ${has}, all threads at home with them made: ${isBack}`;
  return together(handed, settle(seen.has(own) && has && isBack, text));
}

/** A thread is away while it makes a socket; one that stays away is never seen back. */
async function allIn(own: string, look: () => Promise<ReadonlySet<string>>): Promise<boolean> {
  for (let looks = 0; looks < SAMPLES; looks++) {
    const places = await look();
    if (places.size === 1 && places.has(own)) return true;
  }
  return false;
}
