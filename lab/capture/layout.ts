import type { TunnelKind } from '../../dataplane/tunnels/tunnel.ts';

/**
 * Files of one capture directory (`results/<run>/`), the contract between the recorder that writes
 * them, the dissector that reads them and whoever looks at them later.
 */
export const CAPTURE_FILES = {
  /** `Recording` as JSON, written when the recorder stops. */
  recording: 'recording.json',
  /** One pcapng per interface, `<netns>--<ifname>.pcapng`. */
  interfaces: 'interfaces',
  /** NSS key log of every TLS session of every ztunnel. */
  keys: 'keys.log',
  /** `LegRecord` lines of every ztunnel. */
  legs: 'legs.jsonl',
  /** `ConntrackEvent` lines of every netns. */
  conntrack: 'conntrack.jsonl',
  story: 'story.pcapng',
  facts: 'facts.json',
  /** The facts as text that two runs of one lab have in common, for reading and comparing. */
  factsText: 'facts.txt',
  verdict: 'verdict.json',
  junit: 'junit.xml',
  plan: 'plan.json',
  /** The HTML report, which needs nothing beside it. */
  page: 'index.html',
} as const;

/** What the recorder saw, interface by interface. */
export interface Recording {
  readonly startedNs: string;
  readonly stoppedNs: string;
  readonly snapLength: number;
  /** False where the kernel has no SO_RCVMARK: frames then carry no mark. */
  readonly hasMarks: boolean;
  readonly interfaces: readonly RecordedInterface[];
  /** Times the kernel dropped conntrack events before they were read; any but 0 is a hole. */
  readonly conntrackOverruns?: number;
}

export interface RecordedInterface {
  readonly netns: string;
  readonly name: string;
  readonly mac: string;
  /** What the kernel calls its kind: `veth`, `vxlan`, `geneve`; absent for loopback. */
  readonly kind?: string;
  /** How it was made, where it is a Geneve tunnel. */
  readonly tunnel?: TunnelKind;
  /** File name under `interfaces/`. */
  readonly file: string;
  readonly frames: number;
  /** Frames the kernel dropped before the recorder read them; any but 0 fails the run. */
  readonly kernelDrops: number;
}

/** One conntrack event of one netns, tuples as `ip:port`. */
export interface ConntrackEvent {
  readonly timeNs: string;
  readonly netns: string;
  readonly event: 'new' | 'update' | 'destroy';
  readonly protocol: number;
  readonly original: { readonly source: string; readonly destination: string };
  readonly reply: { readonly source: string; readonly destination: string };
  readonly mark: number;
  readonly zone: number;
}
