declare module 'pcap-parser' {
  import type { EventEmitter } from 'node:events';

  interface Parser extends EventEmitter {
    /** Bytes that wait for the rest of a header or a packet. */
    buffer: Buffer | null;
  }

  const pcapParser: { parse(input: EventEmitter): Parser };
  export default pcapParser;
}
