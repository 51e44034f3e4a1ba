import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { randomInt } from 'node:crypto';
import type { Listener, TcpConnection } from '../../hbone/api.ts';
import { decodeDns, DNS_RCODE, type DnsMessage, encodeDns } from '../../wire/dns.ts';
import { type Endpoint, formatEndpoint, isIpv6 } from '../address.ts';
import { BindError } from '../bind-error.ts';
import type { WorkloadIdentity } from '../config.ts';
import type { ProcessContext } from '../proxy-context.ts';
import { SocketFactory } from '../socket-factory.ts';
import type { Workload } from '../state/workload.ts';
import { answerLocally, refuse, responseTo, udpLimit } from './answer.ts';
import { ForwardError, type ForwarderOptions, forwardQuery } from './forwarder.ts';
import type { DnsMatch } from './lookup.ts';
import { podSearchDomains } from './names.ts';
import { readResolvConf, type ResolvConf } from './resolv-conf.ts';
import { frameMessage, MessageCutter } from './tcp-framing.ts';

const TCP_IDLE_MS = 5000;
const LOCAL_WORKLOAD_WAIT_MS = 5000;
/** Questions being forwarded at once; more are answered with SERVFAIL. */
const MAX_FORWARDED = 4096;
const SCOPE = 'dns';

/**
 * The DNS proxy of one pod: UDP and TCP on its loopback addresses. Without an identity that of all
 * pods of a node (1.18 to 1.20): who asks is told by the address.
 */
export class DnsProxy implements Disposable {
  readonly #process: ProcessContext;
  readonly #identity: WorkloadIdentity | undefined;
  readonly #sockets: SocketFactory;
  readonly #forwarder: ForwarderOptions;
  readonly #udp: Socket[] = [];
  readonly #listeners: Listener[] = [];
  readonly #connections = new Set<TcpConnection>();
  readonly #abort = new AbortController();
  readonly #asking = new Set<number>();
  #forwarded = 0;

  /** Binds and serves. @throws BindError with nothing left bound */
  constructor(
    process: ProcessContext,
    identity: WorkloadIdentity | undefined,
    sockets: SocketFactory,
  ) {
    this.#process = process;
    this.#identity = identity;
    this.#sockets = sockets;
    const { dataPath } = process;
    const fromPod = process.config.dnsForwardsFrom === 'pod';
    this.#forwarder = {
      sockets: fromPod ? sockets : new SocketFactory(process.config, undefined),
      dataPath,
      servers: () => this.#resolvConf().servers,
      // Ports of another namespace say nothing of who asks in this one.
      asking: fromPod ? this.#asking : new Set(),
    };
    const { host, port } = process.config.dnsProxyAddress;
    const address = host === 'localhost' ? `localhost:${port}` : formatEndpoint(host);
    process.log.info('dns::server', 'starting local DNS server', {
      address: { bare: address },
      component: 'dns',
    });
    try {
      for (const at of this.#addresses()) this.#bind(at);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Closes everything; questions under way get no answer. Idempotent. */
  [Symbol.dispose](): void {
    if (!this.#abort.signal.aborted) this.#abort.abort();
    for (const socket of this.#udp.splice(0)) socket.close();
    for (const listener of this.#listeners.splice(0)) listener.close();
    for (const connection of this.#connections) connection.close();
    this.#connections.clear();
  }

  #addresses(): Endpoint[] {
    const { host, port } = this.#process.config.dnsProxyAddress;
    if (host !== 'localhost') return [host];
    const v4 = { ip: '127.0.0.1', port };
    return this.#sockets.hasIpv6Loopback() ? [v4, { ip: '::1', port }] : [v4];
  }

  #bind(at: Endpoint): void {
    const bound = <T>(open: () => T): T => {
      try {
        return open();
      } catch (error) {
        throw new BindError(formatEndpoint(at), error);
      }
    };
    this.#serveUdp(
      at,
      bound(() => this.#sockets.bindUdp(at)),
    );
    const fd = bound(() => this.#sockets.listenTcp(at));
    const onConnection = (connection: TcpConnection): void => this.#serveTcp(connection);
    this.#listeners.push(this.#process.dataPath.listen(fd, onConnection));
  }

  #serveUdp(at: Endpoint, fd: number): void {
    const socket = createSocket(isIpv6(at.ip) ? 'udp6' : 'udp4');
    this.#udp.push(socket);
    socket.on('error', (error) =>
      this.#process.log.warn(SCOPE, 'udp failed', { error: error.message }),
    );
    socket.on('message', (bytes, from) => void this.#onDatagram(socket, bytes, from));
    socket.bind({ fd });
  }

  async #onDatagram(socket: Socket, bytes: Buffer, from: RemoteInfo): Promise<void> {
    const answer = this.#asking.has(from.port)
      ? this.#refuseLoop(bytes)
      : await this.#answer(bytes, 'udp', from.address);
    if (answer && !this.#abort.signal.aborted) socket.send(answer, from.port, from.address);
  }

  /**
   * Our own question came back: rules that capture DNS without sparing the proxy's mark send it here.
   * Forwarding it again would go on for ever.
   */
  #refuseLoop(bytes: Buffer): Buffer | undefined {
    this.#process.log.warn(
      SCOPE,
      'a forwarded question came back: redirect rules capture our own DNS',
      {
        'src.workload': this.#identity?.name,
        'src.namespace': this.#identity?.namespace,
      },
    );
    try {
      return encodeDns(responseTo(decodeDns(bytes), DNS_RCODE.serverFailure));
    } catch {
      return formatErrorFor(bytes);
    }
  }

  #serveTcp(connection: TcpConnection): void {
    const cutter = new MessageCutter();
    this.#connections.add(connection);
    const close = (): void => {
      clearTimeout(idle);
      if (this.#connections.delete(connection)) connection.close();
    };
    const idle = setTimeout(close, TCP_IDLE_MS);
    const reply = async (message: Buffer): Promise<void> => {
      const answer = await this.#answer(message, 'tcp', connection.peer.ip);
      if (answer && this.#connections.has(connection)) connection.write(frameMessage(answer));
    };
    connection.receive({
      onBytes: (bytes) => {
        idle.refresh();
        for (const message of cutter.push(bytes)) void reply(message);
      },
      onEnd: close,
      onError: close,
    });
  }

  /** The response as bytes; undefined when the message is too broken to be answered. */
  async #answer(
    bytes: Buffer,
    protocol: 'udp' | 'tcp',
    peerIp: string,
  ): Promise<Buffer | undefined> {
    let query: DnsMessage;
    try {
      query = decodeDns(bytes);
    } catch {
      return formatErrorFor(bytes);
    }
    const limit = protocol === 'udp' ? udpLimit(query) : undefined;
    try {
      return encodeDns(await this.#respond(query, peerIp), limit);
    } catch (error) {
      // A record that cannot be encoded, out of the state or of a server's answer.
      this.#process.log.warn(SCOPE, 'no answer', { error: String(error) });
      return encodeDns(responseTo(query, DNS_RCODE.serverFailure), limit);
    }
  }

  async #respond(query: DnsMessage, peerIp: string): Promise<DnsMessage> {
    const refusal = refuse(query);
    if (refusal) return refusal;
    const { store, config } = this.#process;
    const client = await this.#client(peerIp);
    if (!client) return responseTo(query, DNS_RCODE.serverFailure);
    const names = {
      clientNamespace: client.namespace,
      clusterDomain: config.clusterDomain,
      searchDomains: this.#searchDomains(client.namespace),
    };
    const { ipv6Enabled, preferredServiceNamespace: preferredNamespace } = config;
    const lookup = { state: store.current, client, names, ipv6Enabled, preferredNamespace };
    const local = answerLocally(query, lookup, shuffled);
    this.#logQuery(query, client, local?.match);
    return local ? local.response : this.#forward(query);
  }

  /** Who asks; waited for while it may still become known. */
  async #client(peerIp: string): Promise<Workload | undefined> {
    const { store, config } = this.#process;
    const identity = this.#identity;
    if (identity === undefined) return store.current.workloadByIp(config.network, peerIp);
    const { signal } = this.#abort;
    const known = store.local(identity);
    return known ?? (await store.waitForLocal(identity, LOCAL_WORKLOAD_WAIT_MS, signal));
  }

  async #forward(query: DnsMessage): Promise<DnsMessage> {
    if (this.#forwarded >= MAX_FORWARDED) return responseTo(query, DNS_RCODE.serverFailure);
    this.#forwarded++;
    try {
      const answer = await forwardQuery(this.#forwarder, query, this.#abort.signal);
      const { answers, additionals, rcode } = answer;
      return { ...responseTo(query, rcode), answers, additionals };
    } catch (error) {
      if (!(error instanceof ForwardError)) throw error;
      return responseTo(query, DNS_RCODE.serverFailure);
    } finally {
      this.#forwarded--;
    }
  }

  #searchDomains(namespace: string): readonly string[] {
    const { proxyMode, clusterDomain } = this.#process.config;
    return proxyMode === 'shared'
      ? podSearchDomains(namespace, clusterDomain)
      : this.#resolvConf().searchDomains;
  }

  #resolvConf(): ResolvConf {
    try {
      return readResolvConf(this.#process.config.resolvConf);
    } catch {
      return { servers: [], searchDomains: [] };
    }
  }

  #logQuery(query: DnsMessage, client: Workload, match: DnsMatch | undefined): void {
    const { log } = this.#process;
    if (!log.isEnabled('debug', SCOPE)) return;
    log.debug(SCOPE, match ? 'dns success' : 'dns forwarded', {
      'src.workload': client.name,
      'src.namespace': client.namespace,
      query: query.questions[0]?.type,
      domain: query.questions[0]?.name,
      result: match?.service.hostname,
      endpoints: match?.addresses.length,
    });
  }
}

/** FORMERR with nothing but the id, when there is at least that and it is no response. */
function formatErrorFor(bytes: Buffer): Buffer | undefined {
  if (bytes.length < 12 || ((bytes[2] ?? 0) & 0x80) !== 0) return undefined;
  const head = Buffer.alloc(12);
  bytes.copy(head, 0, 0, 2);
  head[2] = 0x80;
  head[3] = DNS_RCODE.formatError;
  return head;
}

function shuffled(addresses: readonly string[]): readonly string[] {
  const result = [...addresses];
  for (let i = result.length - 1; i > 0; i--) {
    const j = randomInt(i + 1);
    const [a, b] = [result[i], result[j]];
    if (a !== undefined && b !== undefined) [result[i], result[j]] = [b, a];
  }
  return result;
}
