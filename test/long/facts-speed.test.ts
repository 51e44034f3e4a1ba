import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import t, { type Test } from 'tap';
import { CAPTURE_FILES } from '../../lab/capture/layout.ts';
import type { RunFacts, Sighting } from '../../lab/facts/facts.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import { loadTopology } from '../../topologies/load.ts';
import { execIn, scratchDirectory } from '../e2e/support/lab.ts';

const TOPOLOGY = join(import.meta.dirname, '..', '..', 'topologies', 'two-nodes.yaml');
const SUPPORT = join(import.meta.dirname, 'support');
const REQUESTS = 20_000;
const WANTED_FRAMES = 200_000;
const WANTED_RATIO = 10;
const FIELDS = [
  'ip.src',
  'tcp.srcport',
  'ip.dst',
  'tcp.dstport',
  'ip.ttl',
  'frame.len',
  'tcp.len',
  'tls.handshake.ciphersuite',
  'http2.streamid',
  'http2.headers.method',
  'http2.headers.authority',
  'http2.headers.status',
] as const;

const hasTshark = spawnSync('tshark', ['--version']).error === undefined;
t.setTimeout(10 * 60_000);

t.test(
  'facts are tshark’s, ten times sooner',
  hasTshark ? {} : { skip: 'needs tshark' },
  async (t) => {
    await using scratch = await scratchDirectory();
    const dir = join(scratch.path, 'run');
    await record(dir);
    const program = await bundle(scratch.path);

    const ours = timed(process.execPath, [program, dir]);
    const facts = JSON.parse(ours.stdout) as RunFacts;
    const frames = facts.interfaces.reduce((sum, each) => sum + each.frames, 0);
    t.ok(frames >= WANTED_FRAMES, `${frames} frames were recorded`);
    t.same(facts.problems, []);

    let theirsMs = 0;
    let theirsCpuMs = 0;
    for (const { netns, name, file } of facts.interfaces) {
      const keys = `tls.keylog_file:${join(dir, CAPTURE_FILES.keys)}`;
      const fields = FIELDS.flatMap((field) => ['-e', field]);
      const args = [
        '-r',
        join(dir, file),
        '-o',
        keys,
        '-Y',
        'tcp && !icmp',
        '-T',
        'fields',
        ...fields,
      ];
      const theirs = timed('tshark', args);
      theirsMs += theirs.ms;
      theirsCpuMs += theirs.cpuMs;
      const seen = facts.connections.flatMap(({ sightings, protocol }) =>
        protocol === 'udp'
          ? []
          : sightings.filter((each) => each.netns === netns && each.interface === name),
      );
      compareFlows(t, `${netns}/${name}`, seen, theirs.stdout);
      if (`${netns}/${name}` === 'sleep.demo/eth0') compareStreams(t, facts, theirs.stdout);
    }
    const ratio = theirsMs / ours.ms;
    const cpu = `${Math.round(theirsCpuMs)} ms and ${Math.round(ours.cpuMs)} ms of CPU`;
    const text = `${Math.round(theirsMs)} ms to ${Math.round(ours.ms)} ms (${cpu}) for ${frames} frames`;
    t.comment(`tshark takes ${ratio.toFixed(1)} times as long: ${text}`);
    t.ok(ratio >= WANTED_RATIO, text);
  },
);

async function record(dir: string): Promise<void> {
  const plan = planLab(loadTopology(TOPOLOGY), { lab: `t${process.pid}speed` });
  await using lab = await createLab(plan);
  await lab.startCapture(dir);
  const request = { from: 'sleep', to: 'http://httpbin.demo:8000/get', count: 1 };
  const results = [await lab.request(request, { name: 'first' })];
  const service = plan.services.find(({ name }) => name === 'httpbin');
  const argv = [join(SUPPORT, 'chatter.mjs'), service?.vip ?? '', '8000', String(REQUESTS)];
  const done = await execIn(lab, 'sleep', [process.execPath, ...argv], 120_000);
  if (done.exitCode !== 0) throw new Error(`Cannot make requests: ${done.stderr}`);
  results.push(await lab.request(request, { name: 'last' }));
  await lab.stopCapture();
  await writeFile(join(dir, 'requests.json'), JSON.stringify(results));
}

/** Bundled as the programs are: a loader's start is not what is measured. */
async function bundle(directory: string): Promise<string> {
  const outfile = join(directory, 'print-facts.mjs');
  await build({
    entryPoints: [join(SUPPORT, 'print-facts.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['*.node'],
  });
  return outfile;
}

interface Timed {
  readonly stdout: string;
  readonly ms: number;
  /** User and system, as bash's `time` tells. */
  readonly cpuMs: number;
}

function timed(command: string, args: readonly string[]): Timed {
  const script = 'TIMEFORMAT="%U %S"; time "$0" "$@" 2>/dev/null';
  const startedMs = performance.now();
  const done = spawnSync('/bin/bash', ['-c', script, command, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  const ms = performance.now() - startedMs;
  if (done.status !== 0) throw new Error(`Cannot run ${command}: ${done.stderr}`);
  const [user = NaN, system = NaN] = done.stderr.trim().split(/\s+/).slice(-2).map(Number);
  return { stdout: done.stdout, ms, cpuMs: (user + system) * 1000 };
}

interface Flow {
  frames: number;
  bytes: number;
  ttl: string;
}

/** Every flow of tshark's is half of one of ours: frames, bytes, first TTL; and nothing is left over. */
function compareFlows(t: Test, place: string, sightings: readonly Sighting[], text: string): void {
  const flows = new Map<string, Flow>();
  for (const row of rowsOf(text)) {
    const [source, sourcePort, destination, destinationPort, ttl = '', length] = row;
    const key = `${source}:${sourcePort} ${destination}:${destinationPort}`;
    const flow = flows.get(key) ?? { frames: 0, bytes: 0, ttl };
    flow.frames++;
    flow.bytes += Number(length);
    flows.set(key, flow);
  }
  const none: Flow = { frames: 0, bytes: 0, ttl: '' };
  const wrong: string[] = [];
  const used = new Set<string>();
  for (const sighting of sightings) {
    const { client, server, repliesFrom = server, repliesTo = client } = sighting;
    const { frames, bytes, ttl } = sighting;
    const [asked, answered] = [`${client} ${server}`, `${repliesFrom} ${repliesTo}`];
    const [out, back] = [flows.get(asked) ?? none, flows.get(answered) ?? none];
    used.add(asked).add(answered);
    const isSame =
      out.frames + back.frames === frames &&
      out.bytes + back.bytes === bytes &&
      out.ttl === String(ttl);
    if (!isSame) wrong.push(`${client} ${server}: ${frames} frames, ${bytes} bytes, ttl ${ttl}`);
  }
  wrong.push(...[...flows.keys()].filter((key) => !used.has(key)));
  t.same(wrong, [], `${place}: ${sightings.length} connections as tshark has them`);
}

/** CONNECT by CONNECT: streams, authorities, statuses, and the cipher of the tunnel. */
function compareStreams(t: Test, facts: RunFacts, text: string): void {
  const tunnel = facts.connections.find(
    ({ tls, sightings }) => tls?.state === 'decrypted' && sightings[0]?.netns === 'sleep.demo',
  );
  const theirs = { authorities: 0, statuses: 0 };
  for (const [, , , , , , , , , methods = '', authorities = '', statuses = ''] of rowsOf(text)) {
    if (methods.includes('CONNECT')) theirs.authorities += authorities.split(',').length;
    if (statuses !== '') theirs.statuses += statuses.split(',').length;
  }
  const streams = tunnel?.tls?.streams ?? [];
  t.equal(streams.filter(({ authority }) => authority !== undefined).length, theirs.authorities);
  t.equal(streams.filter(({ status }) => status === 200).length, theirs.statuses);
  t.equal(tunnel?.tls?.cipher, 'TLS_AES_256_GCM_SHA384');
  t.match(text, /0x1302/, 'which is 0x1302');
}

function rowsOf(text: string): readonly (readonly string[])[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'));
}
