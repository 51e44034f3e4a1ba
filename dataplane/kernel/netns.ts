import { closeSync, openSync } from 'node:fs';
import { native } from './addon.ts';
import { KernelError, kernelCall } from './errors.ts';
import { mount, MS_BIND } from './mount.ts';

/**
 * A new network namespace, held by the descriptor that is returned: it lives until that is closed
 * and no socket, process or mount holds it any more. The calling thread is home again afterwards;
 * the process aborts when it cannot go home.
 *
 * @throws {KernelError} EPERM without CAP_SYS_ADMIN
 */
export function createNetns(): number {
  return kernelCall('create a network namespace', () => native.createNetns());
}

/**
 * Descriptor (close-on-exec) of the namespace behind a path: `/run/netns/node1`, `/proc/1/ns/net`.
 *
 * @throws Node's own error of `open` (ENOENT, EACCES)
 */
export function openNetns(path: string): number {
  return openSync(path, 'r');
}

/** Closes a descriptor of a netns; the namespace ends when it was the last holder. */
export function closeNetns(fd: number): void {
  closeSync(fd);
}

/**
 * Makes the namespace visible at `path`, as `ip netns` does: creates the file and bind-mounts the
 * namespace on it. It then lives until `umount(path)`.
 *
 * @throws {KernelError}
 */
export function bindNetns(fd: number, path: string): void {
  closeSync(openSync(path, 'a', 0o444));
  mount({ source: `/proc/self/fd/${fd}`, target: path, flags: MS_BIND });
}

/**
 * Calls `fn` with the main thread inside the namespace and is home again afterwards, also when `fn`
 * throws. Meant for `child_process.spawn` (the child is born inside) and synchronous socket calls.
 * `fn` must not wait: a promise is refused, since its continuation would run elsewhere.
 *
 * @throws {KernelError} EINVAL when `fd` is no netns, ASYNC when `fn` gave a promise
 */
export function withNetns<T>(fd: number, fn: () => T): T {
  const box: { result?: T } = {};
  kernelCall(`enter the network namespace of descriptor ${fd}`, () =>
    native.runInNetns(fd, () => {
      box.result = fn();
    }),
  );
  if (box.result instanceof Promise) {
    throw new KernelError(
      'Cannot await inside a network namespace: the function gave a promise, wished a plain value',
      { syscall: 'setns', errno: 0, errnoName: 'ASYNC' },
    );
  }
  return box.result as T;
}

/** Inode of a namespace, its identity: equal for two descriptors of the same one; -1 asks for home. */
export function netnsInode(fd: number): number {
  return kernelCall(`identify descriptor ${fd}`, () => native.netnsInode(fd));
}
