import type { NodePlan } from '../plan/plan.ts';
import { finishInPlace, inPlace } from '../world/in-place.ts';
import type { Lab } from '../world/lab.ts';
import type { PathProbe } from './evidence.ts';

/** Headers of IPv4 and of an ICMP echo. */
const HEADERS_BYTES = 28;
/** Every link of the internet carries this much (RFC 791). */
const SMALLEST_BYTES = 576;
const SIZES_AT_ONCE = 12;

/**
 * Sends pings that may not be fragmented between pods of the nodes: their ztunnels, which no policy
 * shuts off. Each node asks the next. A path that carries full packets costs one ping; else the
 * largest that gets through is looked for.
 */
export async function probePaths(
  lab: Lab,
  nodes: readonly NodePlan[],
): Promise<readonly PathProbe[]> {
  const pairs = nodes.flatMap((from, at): (readonly [NodePlan, NodePlan])[] => {
    const to = nodes[(at + 1) % nodes.length];
    const isBack = at === 1 && nodes.length === 2;
    return to === undefined || to === from || isBack ? [] : [[from, to]];
  });
  return Promise.all(pairs.map(([from, to]) => probePath(lab, from, to)));
}

async function probePath(lab: Lab, from: NodePlan, to: NodePlan): Promise<PathProbe> {
  const place = from.ztunnelNetns;
  const text = await inPlace(lab, place, ['ip', '-j', 'link', 'show', 'dev', 'eth0']);
  const linkMtuBytes = (JSON.parse(text) as readonly { readonly mtu: number }[])[0]?.mtu ?? 0;
  const ends = { from: from.name, to: to.name, linkMtuBytes };
  const ask = (bytes: number): Promise<Ping> => ping(lab, place, to.ztunnelAddress, bytes);
  // Again: the first packet may have been lost to something else.
  for (let attempt = 0; attempt < 2; attempt++) {
    const { isAnswered, isTold } = await ask(linkMtuBytes);
    if (isAnswered) return { ...ends, passesBytes: linkMtuBytes, isTold: false };
    if (isTold) break;
  }
  if (!(await ask(SMALLEST_BYTES)).isAnswered) return { ...ends, isTold: false };
  const found = await largest(ask, SMALLEST_BYTES, linkMtuBytes);
  return { ...ends, passesBytes: found.bytes, isTold: found.isTold };
}

interface Ping {
  readonly isAnswered: boolean;
  readonly isTold: boolean;
}

/** Between a size that passes and one that does not, a dozen at once. */
async function largest(
  ask: (bytes: number) => Promise<Ping>,
  passes: number,
  fails: number,
): Promise<{ readonly bytes: number; readonly isTold: boolean }> {
  let [low, high, isTold] = [passes, fails, false];
  while (high - low > 1) {
    const step = Math.max(1, Math.ceil((high - low) / SIZES_AT_ONCE));
    const sizes: number[] = [];
    for (let bytes = low + step; bytes < high; bytes += step) sizes.push(bytes);
    const answers = await Promise.all(sizes.map(ask));
    isTold ||= answers.some((answer) => answer.isTold);
    const failed = answers.findIndex(({ isAnswered }) => !isAnswered);
    if (failed >= 0) high = sizes[failed] ?? high;
    low = (failed < 0 ? sizes.at(-1) : sizes[failed - 1]) ?? low;
  }
  return { bytes: low, isTold };
}

async function ping(lab: Lab, place: string, address: string, bytes: number): Promise<Ping> {
  const size = String(bytes - HEADERS_BYTES);
  const argv = ['ping', '-n', '-q', '-c', '1', '-W', '1', '-M', 'do', '-s', size, address];
  const done = await finishInPlace(lab, place, argv, { timeoutMs: 10_000 });
  const isTold = /frag needed|message too long/i.test(done.stdout + done.stderr);
  return { isAnswered: done.exitCode === 0, isTold };
}
