import { native } from './addon.ts';
import { kernelCall } from './errors.ts';

/**
 * Texts of files of /proc as a netns shows them (`/proc/sys/net` shows that of the thread which
 * opens a file; this process's own when absent), in one call; undefined for those that are not there.
 * At most 512 bytes of each.
 *
 * @throws {KernelError} EINVAL when `netns` is no netns
 */
export function readSmallFiles(
  netns: number | undefined,
  paths: readonly string[],
): (string | undefined)[] {
  return kernelCall('read files in a namespace', () => native.readFiles(netns ?? -1, paths));
}

/**
 * Writes a text to each file as a netns shows them, in order, in one call.
 *
 * @returns the place of the first that could not be written, or -1; those behind it are untouched
 * @throws {KernelError} EINVAL when `netns` is no netns
 */
export function writeSmallFiles(
  netns: number | undefined,
  paths: readonly string[],
  texts: readonly string[],
): number {
  return kernelCall('write files in a namespace', () =>
    native.writeFiles(netns ?? -1, paths, texts),
  );
}
