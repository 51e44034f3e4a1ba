import { execFileSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Test } from 'tap';
import { createNetns, withNetns } from '../../dataplane/kernel/netns.ts';

/** A netns with `tap0`, 10.9.0.2/24, for a user-mode Linux at its other end; it ends with the test. */
export function tapNetns(test: Test): number {
  const netns = createNetns();
  test.teardown(() => closeSync(netns));
  const ip = (...args: string[]) => withNetns(netns, () => execFileSync('ip', args));
  ip('link', 'set', 'lo', 'up');
  ip('tuntap', 'add', 'tap0', 'mode', 'tap');
  ip('addr', 'add', '10.9.0.2/24', 'dev', 'tap0');
  ip('link', 'set', 'tap0', 'up');
  return netns;
}
