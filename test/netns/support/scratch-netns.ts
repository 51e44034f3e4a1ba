import { execFileSync } from 'node:child_process';
import { closeNetns, createNetns } from '../../../dataplane/kernel/netns.ts';

/** A namespace with loopback up that ends with the block. */
export function scratchNetns(): { readonly netns: number } & Disposable {
  const netns = createNetns();
  inside(netns, 'ip link set lo up');
  return { netns, [Symbol.dispose]: () => closeNetns(netns) };
}

/** What a command prints in a namespace; its words stand between single blanks. */
export function inside(netns: number, command: string): string {
  const path = `/proc/${process.pid}/fd/${netns}`;
  return execFileSync('nsenter', [`--net=${path}`, ...command.split(' ')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
