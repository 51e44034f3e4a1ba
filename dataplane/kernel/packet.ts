import { native, type NativeHandle } from './addon.ts';
import { kernelCall } from './errors.ts';

export interface PacketCaptureOptions {
  /** Descriptor of the netns the interface is in. */
  readonly netns: number;
  readonly index: number;
  /** Open pcapng file with its section header and one interface block written; stays the caller's. */
  readonly file: number;
  /** Of the socket (SO_RCVBUFFORCE); the kernel doubles it for its own accounting. */
  readonly receiveBytes: number;
  /** For loopback, where a frame is seen leaving and arriving: keep the arriving one only. */
  readonly ignoreOutgoing?: boolean;
}

export interface CaptureCounters {
  /** Frames read and encoded. */
  readonly frames: number;
  /** Frames the kernel offered, dropped ones included. */
  readonly received: number;
  /** Frames the kernel dropped because the socket's buffer was full. */
  readonly drops: number;
  /** Frames lost on the way to the file (disk full). */
  readonly unwritten: number;
  /** Errno of the write that failed, 0 for none. */
  readonly writeErrno: number;
}

/**
 * Records frames of any number of interfaces, in native code from socket to file: one Enhanced Packet
 * Block a frame, with direction and reception type in `epb_flags`, nanoseconds, and the comment
 * `mark 0x539` where the socket mark is not 0 (SO_RCVMARK).
 */
export class PacketRecorder implements Disposable {
  readonly snapLength: number;
  readonly #handle: NativeHandle;
  #isClosed = false;

  /** Frames are cut to `snapLength` bytes (14 to 524,288). */
  constructor(snapLength: number) {
    this.snapLength = snapLength;
    this.#handle = kernelCall('open a recorder', () => native.recorderOpen(snapLength));
  }

  /**
   * Starts a capture; every frame from now on is taken. The id is for `finish`.
   *
   * @throws {KernelError} ENODEV when the interface is gone, EMFILE
   */
  add(options: PacketCaptureOptions): number {
    const { netns, index, file, receiveBytes, ignoreOutgoing = false } = options;
    return kernelCall(`capture on interface ${index}`, () =>
      native.recorderAdd(
        this.#handle,
        netns,
        index,
        file,
        receiveBytes,
        this.snapLength,
        ignoreOutgoing,
      ),
    );
  }

  /** Reads what is pending everywhere and writes it to the files; frames of all captures so far. */
  flush(): number {
    return kernelCall('flush captures', () => native.recorderFlush(this.#handle));
  }

  /**
   * Ends captures, all at the same moment: frames before it are in the files when this returns, the
   * sockets are closed. Asking again for a finished one gives its counters.
   */
  finish(ids: readonly number[]): CaptureCounters[] {
    return kernelCall('finish captures', () => native.recorderFinish(this.#handle, ids));
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    native.recorderClose(this.#handle);
  }
}

/** Whether this kernel tells the mark of captured frames (SO_RCVMARK, Linux 5.19 and later). */
export function hasReceiveMark(): boolean {
  return native.hasReceiveMark();
}
