import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { EvidenceMissing, settle } from '../finding.ts';
import { HeldConnection } from '../held.ts';
import { addressOf } from './ask.ts';

/** Pods of the world of sidecars that are looked at: a client and a server of a pair. */
const CLIENT = 'sidecar';
const SERVER = 'sidecar-far';
const STRANGER = 'plain';
const APP_PORT = 8080;
const ECHO_PORT = 9000;
const PROXY = 1337;
/** Somebody else: no user of the lab has this number. */
const OTHER = 4242;

/** A pod with the usual interception has rules in the table nat and in no other. */
export async function onlyNatRules(world: ClaimWorld): Promise<Finding> {
  const saved = await world.read(CLIENT, 'iptables-save');
  const counts = new Map<string, number>();
  let table = '';
  for (const line of saved.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1);
    if (line.startsWith('-A ')) counts.set(table, (counts.get(table) ?? 0) + 1);
  }
  const seen = [...counts].map(([name, count]) => `${count} rules in ${name}`).join(', ');
  const text = `${seen || 'no rules'} (interception mode REDIRECT, no DNS capture)`;
  return settle([...counts.keys()].join() === 'nat', text, { evidence: [seen] });
}

/** Packets that a chain of the table nat has counted so far: first ones of connections. */
async function countOf(world: ClaimWorld, pod: string, chain: string): Promise<number> {
  const listed = await world.read(pod, 'iptables', '-t', 'nat', '-vxnL', chain);
  const counts = listed
    .split('\n')
    .slice(2)
    .map((line) => Number(/^\s*(\d+)\s/.exec(line)?.[1] ?? 0));
  return counts.reduce((sum, count) => sum + count, 0);
}

interface Redirected {
  readonly status: string;
  readonly outbound: number;
  readonly inbound: number;
}

/** One request from a pod as a user and a group, and how often each redirect took it. */
async function asUser(
  world: ClaimWorld,
  pod: string,
  url: string,
  { uid, gid }: { readonly uid: number; readonly gid: number },
): Promise<Redirected> {
  const count = async () => [
    await countOf(world, pod, 'ISTIO_REDIRECT'),
    await countOf(world, pod, 'ISTIO_IN_REDIRECT'),
  ];
  const before = await count();
  const who = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  const curl = ['curl', '-s', '-o', '/dev/null', '-m', '5', '-w', '%{http_code}', url];
  const done = await world.run(pod, ['setpriv', ...who, ...curl]);
  const after = await count();
  return {
    status: done.stdout.trim(),
    outbound: after[0]! - before[0]!,
    inbound: after[1]! - before[1]!,
  };
}

/** The same request as four users: only who is neither uid nor gid 1337 meets Envoy. */
export async function toldApartByUser(world: ClaimWorld): Promise<Finding> {
  const url = `http://${addressOf(world, 'plain-far')}:${APP_PORT}/get`;
  const users = [
    { uid: OTHER, gid: OTHER, isTaken: true },
    { uid: 0, gid: 0, isTaken: true },
    { uid: PROXY, gid: OTHER, isTaken: false },
    { uid: OTHER, gid: PROXY, isTaken: false },
  ];
  const seen = [];
  for (const user of users) {
    const { status, outbound } = await asUser(world, CLIENT, url, user);
    const isAsSaid = status === '200' && outbound === Number(user.isTaken);
    const taken = outbound > 0 ? 'redirected to 15001' : 'not redirected';
    seen.push({ isAsSaid, text: `uid ${user.uid} gid ${user.gid}: ${taken}, status ${status}` });
  }
  const evidence = seen.map(({ text }) => text);
  const text = 'of four users, only those with neither uid nor gid 1337 are redirected';
  const isSo = seen.every(({ isAsSaid }) => isAsSaid);
  return settle(isSo, isSo ? text : evidence.join('; '), { evidence });
}

/** The app's own loopback and own address are free; Envoy calling the latter comes in again. */
export async function ownAddresses(world: ClaimWorld): Promise<Finding> {
  const app = { uid: OTHER, gid: OTHER };
  const own = addressOf(world, SERVER);
  const cases = [
    { url: `http://127.0.0.1:${APP_PORT}/get`, ...app, inbound: 0, who: 'the app' },
    { url: `http://${own}:${APP_PORT}/get`, ...app, inbound: 0, who: 'the app' },
    { url: `http://${own}:${APP_PORT}/get`, uid: PROXY, gid: PROXY, inbound: 1, who: 'uid 1337' },
  ];
  const seen = [];
  for (const { url, who, inbound, ...user } of cases) {
    const got = await asUser(world, SERVER, url, user);
    const isAsSaid = got.status === '200' && got.outbound === 0 && got.inbound === inbound;
    const taken = got.inbound > 0 ? 'redirected to 15006' : 'not redirected';
    seen.push({ isAsSaid, text: `${who} to ${new URL(url).host}: ${taken}, status ${got.status}` });
  }
  const evidence = seen.map(({ text }) => text);
  return settle(
    seen.every(({ isAsSaid }) => isAsSaid),
    evidence.join('; '),
    { evidence },
  );
}

/** Each of the sidecar's own ports from outside: it answers itself, and no redirect has counted. */
export async function ownPortsAreFree(world: ClaimWorld): Promise<Finding> {
  const own = addressOf(world, SERVER);
  const ask = async (url: string, ...more: readonly string[]): Promise<string> => {
    const argv = ['curl', '-s', '-m', '5', '-o', '/dev/null', '-w', '%{http_code}', ...more, url];
    const { stdout, exitCode } = await world.run(STRANGER, argv);
    return exitCode === 0 ? `status ${stdout.trim()}` : `curl ${exitCode}`;
  };
  // A certificate of the mesh's own CA was seen: curl cannot verify it, and says so whatever follows.
  const askTls = async (): Promise<string> => {
    const argv = ['curl', '-sk', '-m', '5', '-w', '%{ssl_verify_result}', `https://${own}:15008/`];
    const { stdout, exitCode } = await world.run(STRANGER, argv);
    return Number(stdout) > 0 ? 'TLS' : `curl ${exitCode}`;
  };
  const asked = [
    { port: 15021, wished: /^status 200$/, ask: () => ask(`http://${own}:15021/healthz/ready`) },
    { port: 15090, wished: /^status 200$/, ask: () => ask(`http://${own}:15090/stats/prometheus`) },
    // The agent's port: nobody listens, and what is captured would be accepted.
    { port: 15020, wished: /^curl 7$/, ask: () => ask(`http://${own}:15020/`) },
    // A server that wants a certificate: its TLS answers, its HTTP does not.
    { port: 15008, wished: /^TLS$/, ask: askTls },
  ];
  const seen = [];
  for (const { port, wished, ask: now } of asked) {
    const before = await countOf(world, SERVER, 'ISTIO_IN_REDIRECT');
    const answer = await now();
    const redirected = (await countOf(world, SERVER, 'ISTIO_IN_REDIRECT')) - before;
    const isAsSaid = wished.test(answer) && redirected === 0;
    seen.push({ isAsSaid, text: `${port}: ${answer}, ${redirected} times redirected` });
  }
  const before = await countOf(world, SERVER, 'ISTIO_IN_REDIRECT');
  const control = await ask(`http://${own}:${APP_PORT}/get`);
  const redirected = (await countOf(world, SERVER, 'ISTIO_IN_REDIRECT')) - before;
  const evidence = [
    ...seen.map(({ text }) => text),
    `control ${APP_PORT}: ${control}, ${redirected} times redirected`,
  ];
  const isSo = seen.every(({ isAsSaid }) => isAsSaid) && redirected === 1;
  return settle(isSo, evidence.join('; '), { evidence });
}

/** Entries of both pods while a connection through both sidecars is open. */
export async function conntrackPorts(world: ClaimWorld): Promise<Finding> {
  const vip = world.lab.plan.services.find(({ name }) => name === SERVER)?.vip;
  if (vip === undefined) throw new EvidenceMissing(`a service "${SERVER}"`);
  await using _held = await HeldConnection.open(world.lab, CLIENT, vip, ECHO_PORT, 5_000);
  const entryOf = async (pod: string, wished: string): Promise<string> => {
    const listed = await world.read(pod, 'conntrack', '-L', '-p', 'tcp');
    const lines = listed.split('\n').filter((line) => line.includes(' ESTABLISHED '));
    const found = lines.find((line) => line.includes(wished));
    if (found === undefined)
      throw new EvidenceMissing(`a conntrack entry with ${wished} in ${pod}`);
    return found.trim();
  };
  const outbound = await entryOf(CLIENT, `dst=${vip} `);
  const inbound = await entryOf(SERVER, `src=${addressOf(world, CLIENT)} `);
  const replyPort = (entry: string): string | undefined =>
    [...entry.matchAll(/ sport=(\d+)/g)].at(1)?.[1];
  const [out, into] = [replyPort(outbound), replyPort(inbound)];
  const text = `replies have source port ${into} inbound and ${out} outbound`;
  return settle(out === '15001' && into === '15006', text, { evidence: [outbound, inbound] });
}

/** The last leg of a recorded request, from Envoy to the app. */
export function seenBehindSidecar(world: ClaimWorld): Finding {
  const path = world.path('sidecarPair');
  const last = path.legs.at(-1);
  const connection = world.connection(path, path.legs.length);
  const [first] = connection.sightings;
  if (last === undefined || first === undefined) throw new EvidenceMissing('a leg to the app');
  const { from, to } = last;
  const text = `${from.name} calls the app from ${from.address} at ${to.address}, on ${first.interface}`;
  const isSo =
    from.kind === 'envoy' && from.address.startsWith('127.0.0.6:') && first.interface === 'lo';
  const frames = [{ file: first.file, frames: first.frameNumbers }];
  return settle(isSo, text, { evidence: [], frames });
}
