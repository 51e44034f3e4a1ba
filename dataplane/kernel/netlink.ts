import { getSystemErrorName } from 'node:util';
import { native } from './addon.ts';
import { KernelError, kernelCall } from './errors.ts';
import {
  attributeText,
  decodeAttributes,
  decodeMessages,
  HEADER_BYTES,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  type NetlinkMessage,
} from './netlink-message.ts';
import { closeFd } from './sockets.ts';

/** A netlink request the kernel refused. */
export class NetlinkError extends KernelError {
  /** The kernel's own words (NETLINK_EXT_ACK), where it had any. */
  readonly explanation: string | undefined;
  /** Which of the messages of `request`, from 0. */
  readonly messageIndex: number;

  constructor(errno: number, explanation: string | undefined, messageIndex: number) {
    const errnoName = nameOf(errno);
    const why = explanation ? `${errnoName}, ${explanation}` : errnoName;
    super(`Cannot carry out netlink message ${messageIndex}: ${why}`, {
      syscall: 'netlink',
      errno,
      errnoName,
    });
    this.explanation = explanation;
    this.messageIndex = messageIndex;
  }
}

export interface NetlinkOptions {
  readonly protocol: 'route' | 'netfilter';
  /** Descriptor of the netns to speak to; absent: this process's own. */
  readonly netns?: number;
}

const PROTOCOLS = { route: 0, netfilter: 12 } as const;
const RECEIVE_BYTES = 4 << 20;
/** Acks of one write must fit the receive buffer: each is charged about 1 kB. */
const MESSAGES_PER_WRITE = 512;
const DUMP_TRIES = 8;
const NLMSGERR_ATTR_MSG = 1;

/**
 * A netlink socket for requests, synchronous: the kernel answers within the write. It speaks to the
 * netns it was born in and holds that netns while it is open.
 */
export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  #sequence = 0;
  #isClosed = false;

  /** @throws {KernelError} */
  constructor(options: NetlinkOptions) {
    this.#fd = kernelCall(`open a netlink socket (${options.protocol})`, () =>
      native.netlinkOpen(options.netns ?? -1, PROTOCOLS[options.protocol], [], RECEIVE_BYTES),
    );
  }

  /**
   * Sends the messages in few writes and returns when the kernel has acked each, with what it
   * answered beside the acks. The kernel carries out every message, also those after a refused one.
   * Sequence numbers and NLM_F_REQUEST | NLM_F_ACK are put into `messages`.
   *
   * @throws {NetlinkError} for the first message that was refused
   */
  request(messages: readonly Buffer[]): NetlinkMessage[] {
    const answers: NetlinkMessage[] = [];
    let fault: NetlinkError | undefined;
    for (let at = 0; at < messages.length; at += MESSAGES_PER_WRITE) {
      const part = messages.slice(at, at + MESSAGES_PER_WRITE);
      const first = this.#stamp(part, NLM_F_REQUEST | NLM_F_ACK);
      for (const message of this.exchange(Buffer.concat(part), part.length)) {
        if (message.type !== NLMSG_ERROR) answers.push(message);
        else fault ??= errorOf(message, at + (message.sequence - first));
      }
    }
    if (fault) throw fault;
    return answers;
  }

  /**
   * Everything the kernel lists for one get message; asked again when the list changed meanwhile.
   *
   * @throws {NetlinkError}
   */
  dump(message: Buffer): NetlinkMessage[] {
    for (let tries = 1; ; tries++) {
      this.#stamp([message], NLM_F_REQUEST | NLM_F_DUMP);
      const answers = this.exchange(message, 1);
      const refused = answers.find((answer) => answer.type === NLMSG_ERROR);
      const fault = refused && errorOf(refused, 0);
      if (fault) throw fault;
      const isTorn = answers.some((answer) => (answer.flags & NLM_F_DUMP_INTR) !== 0);
      if (!isTorn || tries === DUMP_TRIES) {
        return answers.filter((answer) => answer.type !== NLMSG_DONE);
      }
    }
  }

  /**
   * Writes raw messages and reads until `ends` of them were answered by an ack, an error or the end
   * of a dump; gives all answers. For callers with sequence numbers of their own (nfnetlink batches).
   *
   * @throws {KernelError} ETIMEDOUT when the kernel owes an answer for 10 s; the socket is closed then
   */
  exchange(messages: Buffer, ends: number): NetlinkMessage[] {
    try {
      const reply = kernelCall('exchange netlink messages', () =>
        native.netlinkExchange(this.#fd, messages, ends),
      );
      return [...decodeMessages(reply)];
    } catch (error) {
      // Answers that come later would be taken for those of the next request.
      this.close();
      throw error;
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeFd(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #stamp(messages: readonly Buffer[], flags: number): number {
    const first = this.#sequence + 1;
    for (const message of messages) {
      message.writeUInt16LE(message.readUInt16LE(6) | flags, 6);
      message.writeUInt32LE(++this.#sequence, 8);
    }
    return first;
  }
}

/** The fault an ack reports, undefined for success. */
function errorOf(message: NetlinkMessage, index: number): NetlinkError | undefined {
  const errno = message.body.length >= 4 ? -message.body.readInt32LE(0) : 0;
  if (errno === 0) return undefined;
  // NETLINK_CAP_ACK: the refused message's header follows the errno, then the attributes.
  const attributes = decodeAttributes(message.body.subarray(4 + HEADER_BYTES));
  const text = attributes.get(NLMSGERR_ATTR_MSG);
  return new NetlinkError(errno, text && attributeText(text), index);
}

function nameOf(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `ERRNO_${errno}`;
  }
}
