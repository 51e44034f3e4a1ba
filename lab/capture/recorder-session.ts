import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isKernelError } from '../../dataplane/kernel/errors.ts';
import { watchLinks } from '../../dataplane/kernel/link-watch.ts';
import { NetlinkSocket } from '../../dataplane/kernel/netlink.ts';
import { closeNetns, openNetns } from '../../dataplane/kernel/netns.ts';
import {
  type CaptureCounters,
  hasReceiveMark,
  PacketRecorder,
} from '../../dataplane/kernel/packet.ts';
import { realtimeNs } from '../../dataplane/kernel/process.ts';
import { type Link, listLinks } from '../../dataplane/kernel/rtnetlink-list.ts';
import { listTunnels } from '../../dataplane/tunnels/list-tunnels.ts';
import type { TunnelKind } from '../../dataplane/tunnels/tunnel.ts';
import { ConntrackLog } from './conntrack-log.ts';
import { CAPTURE_FILES, type RecordedInterface, type Recording } from './layout.ts';
import { LINK_TYPE } from './pcapng.ts';
import { encodePcapngHead, encodeStatistics } from './pcapng-write.ts';
import type { RecordedNetns, RecorderProgress, RecorderStart } from './recorder-protocol.ts';

interface OpenNetns {
  readonly name: string;
  readonly fd: number;
  readonly watch: Disposable;
}

interface OpenCapture {
  readonly netns: string;
  readonly link: Link;
  readonly id: number;
  readonly fileName: string;
  readonly file: number;
  readonly tunnel: TunnelKind | undefined;
}

/** ARPHRD_* with an Ethernet header in front; loopback frames have one too. */
const ETHERNET_TYPES = new Set([1, 772]);

/**
 * Everything recorded of a set of namespaces into one capture directory (`layout.ts`), from
 * construction to `stop`: interfaces that appear are taken up, those that vanish finished.
 */
export class RecorderSession {
  readonly #options: RecorderStart;
  readonly #recorder: PacketRecorder;
  readonly #conntrack: ConntrackLog;
  readonly #netns = new Map<string, OpenNetns>();
  /** By `<netns>/<ifindex>`. */
  readonly #captures = new Map<string, OpenCapture>();
  readonly #finished: RecordedInterface[] = [];
  readonly #fileNames = new Set<string>();
  readonly #startedNs = realtimeNs();

  /** Nothing is recorded before `addNetns`. @throws {KernelError} */
  constructor(options: RecorderStart) {
    this.#options = options;
    mkdirSync(join(options.dir, CAPTURE_FILES.interfaces), { recursive: true });
    this.#recorder = new PacketRecorder(options.snapLength);
    this.#conntrack = new ConntrackLog(join(options.dir, CAPTURE_FILES.conntrack));
  }

  get progress(): RecorderProgress {
    return {
      frames: this.#recorder.flush(),
      conntrackEvents: this.#conntrack.events,
      interfaces: this.#captures.size + this.#finished.length,
    };
  }

  /** Records every interface of these namespaces from now on; known names are left as they are. */
  addNetns(list: readonly RecordedNetns[]): void {
    for (const { name, path } of list) {
      if (this.#netns.has(name)) continue;
      const fd = openNetns(path);
      // Watched before listed: what appears in between is told, and told twice does no harm.
      const watch = watchLinks({
        netns: fd,
        onLink: (link) => this.#addLink(name, fd, link),
        onGone: (link) => this.#finish([`${name}/${link.index}`]),
        onOverrun: () => this.#scan(name, fd),
      });
      this.#netns.set(name, { name, fd, watch });
      this.#conntrack.add(name, fd);
      this.#scan(name, fd);
    }
  }

  /** Finishes the files of these namespaces and holds them no longer; unknown names are passed over. */
  removeNetns(names: readonly string[]): void {
    const gone = new Set(names);
    const captures = [...this.#captures].filter(([, capture]) => gone.has(capture.netns));
    this.#finish(captures.map(([key]) => key));
    for (const name of gone) this.#release(name);
  }

  rescan(): void {
    for (const { name, fd } of this.#netns.values()) this.#scan(name, fd);
  }

  /** Everything seen so far is in the files afterwards. */
  flush(): void {
    this.#recorder.flush();
    this.#conntrack.flush();
  }

  /** Ends all captures at the same moment, writes `recording.json` and gives it. */
  stop(): Recording {
    this.#finish([...this.#captures.keys()]);
    for (const name of [...this.#netns.keys()]) this.#release(name);
    this.#conntrack[Symbol.dispose]();
    this.#recorder[Symbol.dispose]();
    const recording: Recording = {
      startedNs: this.#startedNs.toString(),
      stoppedNs: realtimeNs().toString(),
      snapLength: this.#options.snapLength,
      hasMarks: hasReceiveMark(),
      interfaces: this.#finished.toSorted((a, b) => (a.file < b.file ? -1 : 1)),
      conntrackOverruns: this.#conntrack.overruns,
    };
    const path = join(this.#options.dir, CAPTURE_FILES.recording);
    writeFileSync(path, `${JSON.stringify(recording, null, 2)}\n`);
    return recording;
  }

  #scan(netns: string, fd: number): void {
    using socket = new NetlinkSocket({ protocol: 'route', netns: fd });
    for (const link of listLinks(socket)) this.#addLink(netns, fd, link);
  }

  #addLink(netns: string, fd: number, link: Link): void {
    const key = `${netns}/${link.index}`;
    if (this.#captures.has(key)) return;
    const fileName = this.#freeFileName(netns, link.name);
    const path = join(this.#options.dir, CAPTURE_FILES.interfaces, fileName);
    const file = openSync(path, 'w', 0o644);
    try {
      writeSync(file, this.#head(netns, link));
      const id = this.#recorder.add({
        netns: fd,
        index: link.index,
        file,
        receiveBytes: this.#options.bufferBytes,
        ignoreOutgoing: link.isLoopback,
      });
      const tunnel = tunnelKindOf(fd, link);
      this.#captures.set(key, { netns, link, id, fileName, file, tunnel });
    } catch (error) {
      closeSync(file);
      rmSync(path, { force: true });
      this.#fileNames.delete(fileName);
      // It vanished between being told of and being bound to.
      if (!isKernelError(error, 'ENODEV')) throw error;
    }
  }

  #head(netns: string, link: Link): Buffer {
    return encodePcapngHead({
      application: 'ambient-lab',
      interfaces: [
        {
          name: `${netns}/${link.name}`,
          mac: link.mac || undefined,
          linkType: ETHERNET_TYPES.has(link.type) ? LINK_TYPE.ethernet : LINK_TYPE.raw,
          snapLength: this.#options.snapLength,
        },
      ],
    });
  }

  #freeFileName(netns: string, link: string): string {
    const base = `${netns}--${link}`.replaceAll(/[/\0]/g, '_');
    let name = `${base}.pcapng`;
    for (let n = 2; this.#fileNames.has(name); n++) name = `${base}.${n}.pcapng`;
    this.#fileNames.add(name);
    return name;
  }

  #finish(keys: readonly string[]): void {
    const captures = keys.flatMap((key) => this.#captures.get(key) ?? []);
    const counters = this.#recorder.finish(captures.map((capture) => capture.id));
    for (const key of keys) this.#captures.delete(key);
    captures.forEach((capture, i) => {
      const counted = counters[i];
      if (counted) this.#close(capture, counted);
    });
  }

  #close(capture: OpenCapture, counted: CaptureCounters): void {
    const lost = counted.drops + counted.unwritten;
    try {
      if (counted.writeErrno === 0) {
        const received = BigInt(counted.received);
        writeSync(capture.file, encodeStatistics(0, realtimeNs(), received, BigInt(lost)));
      }
    } finally {
      closeSync(capture.file);
    }
    this.#finished.push({
      netns: capture.netns,
      name: capture.link.name,
      mac: capture.link.mac,
      ...(capture.link.kind !== '' && { kind: capture.link.kind }),
      ...(capture.tunnel !== undefined && { tunnel: capture.tunnel }),
      file: capture.fileName,
      frames: counted.frames - counted.unwritten,
      // A frame that did not reach the disk is as lost as one that the kernel dropped.
      kernelDrops: lost,
    });
  }

  #release(name: string): void {
    const netns = this.#netns.get(name);
    if (!netns) return;
    this.#netns.delete(name);
    netns.watch[Symbol.dispose]();
    this.#conntrack.remove(name);
    closeNetns(netns.fd);
  }
}

/** Looked at while it is there: what makes a vxlan device one is gone with it. */
function tunnelKindOf(netns: number, link: Link): TunnelKind | undefined {
  if (link.kind !== 'vxlan' && link.kind !== 'geneve') return undefined;
  return listTunnels(netns).find(({ index }) => index === link.index)?.kind;
}
