import { runProgram } from '../../../dataplane/agent/programs.ts';
import { FAR, type TunnelWorld, type Way } from './world.ts';

/** What is measured of each way. Round trips and rates are as the programs report them. */
export const LOADS = ['round trip', 'packets', 'tcp'] as const;
export type Load = (typeof LOADS)[number];

export const UNITS: Readonly<Record<Load, string>> = {
  'round trip': 'µs',
  packets: 'packets/s received',
  tcp: 'Gbit/s',
};

const PING_COUNT = 10_000;
/** Payload of each datagram: what a packet costs counts, not its bytes. */
const PACKET_BYTES = '64';

interface IperfReport {
  /** With -J a client that finds nobody says so here, and ends with 0. */
  readonly error?: string;
  readonly end: {
    readonly sum?: { readonly packets: number; readonly lost_packets: number; seconds: number };
    readonly sum_received?: { readonly bits_per_second: number };
  };
}

/** One measurement of one load by one way, in the load's unit. */
export async function measure(
  world: TunnelWorld,
  way: Way,
  load: Load,
  seconds: number,
): Promise<number> {
  switch (load) {
    case 'round trip':
      return pingFlood(world, FAR[way]);
    case 'packets': {
      const { sum } = (await iperf(world, FAR[way], seconds, ['-u', '-b', '0', '-l', PACKET_BYTES]))
        .end;
      return (sum!.packets - sum!.lost_packets) / sum!.seconds;
    }
    case 'tcp':
      return (await iperf(world, FAR[way], seconds, [])).end.sum_received!.bits_per_second / 1e9;
  }
}

/** Each echo is sent when the one before is answered: the whole time over their number. */
async function pingFlood({ near }: TunnelWorld, address: string): Promise<number> {
  const text = await runProgram(['ping', '-f', '-q', '-c', String(PING_COUNT), address], {
    netns: near,
  });
  const [, received, ms] = /(\d+) received.* time (\d+)ms/.exec(text) ?? [];
  if (Number(received) < PING_COUNT * 0.99) {
    throw new Error(`Cannot measure round trips to ${address}: ${received ?? 'no'} echoes came`);
  }
  return (Number(ms) * 1000) / PING_COUNT;
}

async function iperf(
  { near, far }: TunnelWorld,
  address: string,
  seconds: number,
  args: readonly string[],
): Promise<IperfReport> {
  // The server ends with its one test, or after this time without any.
  const server = runProgram(['iperf3', '-s', '-1', '--idle-timeout', '15'], { netns: far });
  const client = clientReport(near, [
    'iperf3',
    '-J',
    '-c',
    address,
    '-t',
    String(seconds),
    ...args,
  ]);
  const [report] = await Promise.all([client, server]);
  return report;
}

/** Tries again while the server does not listen yet. */
async function clientReport(
  netns: number,
  argv: readonly [string, ...string[]],
): Promise<IperfReport> {
  for (let tries = 1; ; tries++) {
    try {
      const report = JSON.parse(await runProgram(argv, { netns })) as IperfReport;
      if (report.error === undefined) return report;
      throw new Error(`Cannot load ${argv.join(' ')}: ${report.error}`);
    } catch (error) {
      if (tries === 40) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
