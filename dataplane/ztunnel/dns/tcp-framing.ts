/** Bytes of one message on TCP: its length in two bytes, then itself (RFC 1035 §4.2.2). */
export function frameMessage(message: Buffer): Buffer {
  const length = Buffer.allocUnsafe(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Cuts a TCP byte stream into DNS messages; holds at most one incomplete message. */
export class MessageCutter {
  #pending: Buffer = Buffer.alloc(0);

  /** Messages completed by these bytes, as copies. */
  push(bytes: Buffer): Buffer[] {
    const messages: Buffer[] = [];
    let rest = Buffer.concat([this.#pending, bytes]);
    while (rest.length >= 2) {
      const end = 2 + rest.readUInt16BE(0);
      if (rest.length < end) break;
      messages.push(rest.subarray(2, end));
      rest = rest.subarray(end);
    }
    this.#pending = Buffer.from(rest);
    return messages;
  }
}
