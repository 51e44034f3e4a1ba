import { native } from './addon.ts';
import { asKernelError, kernelCall } from './errors.ts';
import { decodeMessages } from './netlink-message.ts';
import { watchFd } from './poll.ts';
import { RTM_DELLINK } from './rtnetlink.ts';
import { decodeLink, type Link } from './rtnetlink-list.ts';
import { closeFd } from './sockets.ts';

export interface LinkWatchOptions {
  /** Descriptor of the netns; absent: this process's own. */
  readonly netns?: number;
  /** A link appeared or changed. */
  readonly onLink: (link: Link) => void;
  /** A link was deleted or moved away. */
  readonly onGone: (link: Link) => void;
  /** Messages were lost: list the links to know where things are. */
  readonly onOverrun: () => void;
}

const ROUTE = 0;
const RTNLGRP_LINK = 1;
const AF_BRIDGE = 7;
const RECEIVE_BYTES = 1 << 20;

/**
 * Tells every change of the links of one netns until disposal; links that exist already are not told.
 *
 * @throws {KernelError}
 */
export function watchLinks(options: LinkWatchOptions): Disposable {
  const fd = kernelCall('watch links', () =>
    native.netlinkOpen(options.netns ?? -1, ROUTE, [RTNLGRP_LINK], RECEIVE_BYTES),
  );
  const buffer = Buffer.allocUnsafeSlow(64 << 10);
  let isClosed = false;
  const watch = watchFd(fd, () => {
    for (let length = read(fd, buffer, options); length > 0;) {
      for (const message of decodeMessages(buffer.subarray(0, length))) {
        // A port that leaves its bridge is told as a deleted link of family AF_BRIDGE.
        const link = message.body[0] === AF_BRIDGE ? undefined : decodeLink(message);
        if (link) (message.type === RTM_DELLINK ? options.onGone : options.onLink)(link);
      }
      // A handler may have ended the watch.
      length = isClosed ? 0 : read(fd, buffer, options);
    }
  });
  return {
    [Symbol.dispose]: () => {
      if (isClosed) return;
      isClosed = true;
      watch[Symbol.dispose]();
      closeFd(fd);
    },
  };
}

function read(fd: number, buffer: Buffer, options: LinkWatchOptions): number {
  for (;;) {
    try {
      return native.receiveInto(fd, buffer);
    } catch (error) {
      if ((error as { errnoName?: string }).errnoName !== 'ENOBUFS') {
        throw asKernelError('read link changes', error);
      }
      options.onOverrun();
    }
  }
}
