import { native } from './addon.ts';
import { kernelCall } from './errors.ts';

/** Flags of mount(2), from include/uapi/linux/mount.h. */
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;
export const MS_SHARED = 1 << 20;

/** Flag of umount2(2): gone from the tree now, freed when nobody uses it any more. */
export const MNT_DETACH = 2;

export interface MountOptions {
  /** Device, directory to bind, or nothing (`tmpfs`, `proc`, a change of propagation). */
  readonly source?: string;
  readonly target: string;
  /** `tmpfs`, `proc`, `overlay`; absent for binds and changes of propagation. */
  readonly type?: string;
  /** Sum of `MS_*`. */
  readonly flags?: number;
  /** Options of the file system: `mode=0755,size=16m`, `lowerdir=…,upperdir=…,workdir=…`. */
  readonly data?: string;
}

/**
 * mount(2), in the mount namespace of this process.
 *
 * @throws {KernelError}
 */
export function mount(options: MountOptions): void {
  const { source = '', target, type = '', flags = 0, data = '' } = options;
  kernelCall(`mount "${source || type}" on "${target}"`, () =>
    native.mount(source, target, type, flags, data),
  );
}

/**
 * umount2(2).
 *
 * @throws {KernelError} EINVAL when nothing is mounted there
 */
export function umount(target: string, flags = 0): void {
  kernelCall(`unmount "${target}"`, () => native.umount(target, flags));
}
