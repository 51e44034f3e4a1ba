import { existsSync, stat } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KernelError } from './errors.ts';

/** Address as the addon gives it; v4-mapped addresses arrive as family 4. */
export interface NativeAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
}

/** An opaque handle of the addon; it is freed when nothing refers to it any more. */
export interface NativeHandle {
  readonly __native: never;
}

/** What one capture counted. */
export interface NativeCaptureCounters {
  readonly frames: number;
  readonly received: number;
  readonly drops: number;
  readonly unwritten: number;
  readonly writeErrno: number;
}

/**
 * Functions of the native addon. Callers use the typed modules beside this one: these throw plain
 * errors with `syscall`, `errno` and `errnoName`. Descriptors are numbers, -1 stands for "none".
 */
export interface NativeAddon {
  createNetns(): number;
  runInNetns(netns: number, fn: () => void): unknown;
  netnsInode(netns: number): number;
  mount(source: string, target: string, type: string, flags: number, data: string): void;
  umount(target: string, flags: number): void;

  readFiles(netns: number, paths: readonly string[]): (string | undefined)[];
  writeFiles(netns: number, paths: readonly string[], texts: readonly string[]): number;

  setDeathSignal(signal: number): void;
  setProcessName(name: string): void;
  peekZombie(): number;
  reapChild(pid: number): boolean;
  peerCredentials(fd: number): { pid: number; uid: number; gid: number };
  lockFile(fd: number, exclusive: boolean): boolean;
  raiseFileLimit(): number;
  realtimeNs(): bigint;

  openSocket(family: 1 | 4 | 6, type: 0 | 1 | 2, netns: number, options: object): number;
  connectSocket(fd: number, family: 1 | 4 | 6, to: object): boolean;
  acceptSocket(fd: number): number;
  originalDestination(fd: number): NativeAddress | undefined;
  localAddress(fd: number): NativeAddress;
  peerAddress(fd: number): NativeAddress;
  getOption(fd: number, level: number, name: number): number;
  setOption(fd: number, level: number, name: number, value: number): void;
  closeFd(fd: number): void;
  sendMessage(fd: number, data: Uint8Array, fds: readonly number[]): boolean;
  receiveMessage(
    fd: number,
    buffer: Uint8Array,
  ): { length: number; truncated: boolean; fds: number[] } | null;

  pollStart(fd: number, events: number, callback: (events: number) => void): NativeHandle;
  pollEvents(handle: NativeHandle, events: number): void;
  pollReference(handle: NativeHandle, keep: boolean): void;
  pollStop(handle: NativeHandle): void;

  timerOpen(): number;
  timerArm(fd: number, delayUs: number): void;

  netlinkOpen(
    netns: number,
    protocol: number,
    groups: readonly number[],
    receiveBytes: number,
  ): number;
  netlinkExchange(fd: number, messages: Uint8Array, ends: number): Buffer;
  receiveInto(fd: number, buffer: Uint8Array): number;

  bpfLoad(instructions: Uint8Array, name: string, log: Uint8Array): number;
  bpfAttach(netns: number, ifindex: number, type: number, fd: number): void;
  bpfDetach(netns: number, ifindex: number, type: number, id: number): void;
  bpfAttached(
    netns: number,
    ifindex: number,
    type: number,
  ): { readonly id: number; readonly name: string; readonly tag: Buffer }[];

  recorderOpen(snapLength: number): NativeHandle;
  recorderAdd(
    recorder: NativeHandle,
    netns: number,
    ifindex: number,
    file: number,
    receiveBytes: number,
    snapLength: number,
    ignoreOutgoing: boolean,
  ): number;
  recorderFlush(recorder: NativeHandle): number;
  recorderFinish(recorder: NativeHandle, ids: readonly number[]): NativeCaptureCounters[];
  recorderClose(recorder: NativeHandle): void;
  hasReceiveMark(): boolean;
}

/** `AMBIENT_KERNEL_ADDON`, else `build/kernel.node` in a directory above this module. */
export const nativePath = process.env['AMBIENT_KERNEL_ADDON'] ?? findBuilt(import.meta.url);

/**
 * The addon, loaded once when this module is first imported. The libuv pool is started first: it is
 * made lazily by the thread that needs it, and inside a foreign netns would stay there for good.
 */
export const native: NativeAddon = load(nativePath);

function load(path: string): NativeAddon {
  stat('/', () => undefined);
  try {
    return createRequire(import.meta.url)(path) as NativeAddon;
  } catch (cause) {
    const fault = { syscall: 'dlopen', errno: 0, errnoName: 'ADDON' };
    const wished = 'wished one built by "node scripts/build-native.mjs"';
    throw new KernelError(
      `Cannot load "${path}": ${(cause as Error).message}, ${wished}`,
      fault,
      cause,
    );
  }
}

function findBuilt(moduleUrl: string): string {
  const start = dirname(fileURLToPath(moduleUrl));
  for (let at = start; ; at = dirname(at)) {
    const path = join(at, 'build', 'kernel.node');
    if (existsSync(path) || at === dirname(at)) return path;
  }
}
