import type { DnsMessage } from '../../../dataplane/wire/dns.ts';
import type { DnsExchange, Endpoint } from './types.ts';

type OpenExchange = { -readonly [K in keyof DnsExchange]: DnsExchange[K] };

/** Pairs DNS queries with their responses, by the client's endpoint, identifier and question. */
export class DnsPairs {
  readonly exchanges: OpenExchange[] = [];
  readonly #waiting = new Map<string, OpenExchange>();

  /** Takes one message that `source` sent to `destination` in frame `frame`. */
  add(
    message: DnsMessage,
    source: Endpoint,
    destination: Endpoint,
    frame: number,
    transport: 'udp' | 'tcp',
  ): void {
    const client = message.isResponse ? destination : source;
    const server = message.isResponse ? source : destination;
    const question = message.questions[0];
    const name = question?.name ?? '';
    const type = question?.type ?? 0;
    // Without the server: under REDIRECT the answer shows another one than the query.
    const key = `${transport} ${client.address} ${client.port} ${message.id} ${type} ${name.toLowerCase()}`;
    let exchange = this.#waiting.get(key);
    if (!exchange || !message.isResponse) {
      exchange = { transport, client, server, id: message.id, name, type, addresses: [] };
      this.exchanges.push(exchange);
      this.#waiting.set(key, exchange);
    }
    if (message.isResponse) {
      exchange.responseFrame = frame;
      exchange.rcode = message.rcode;
      exchange.addresses = message.answers.flatMap(({ data }) =>
        data.kind === 'address' ? [data.address] : [],
      );
      this.#waiting.delete(key);
    } else exchange.queryFrame = frame;
  }
}
