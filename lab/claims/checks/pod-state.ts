import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { EvidenceMissing, settle, together } from '../finding.ts';
import { CURL, statusFrom } from './ask.ts';
import { nftRulesAreTheEras, ruleLines, usesNft, withoutCounters } from './rules-text.ts';

const GOLDEN_PORTS = [15001, 15006, 15008, 15053];

interface Listener {
  readonly port: number;
  readonly line: string;
  readonly pid: string | undefined;
}

/** Sockets that wait in a pod, TCP and UDP. */
export async function listenersIn(world: ClaimWorld, pod: string): Promise<readonly Listener[]> {
  const text = await world.read(pod, 'ss', '-Hlntup');
  return text.split('\n').flatMap((line) => {
    const port = /\S+:(\d+)\s/.exec(line)?.[1];
    if (port === undefined) return [];
    return [{ port: Number(port), line, pid: /pid=(\d+)/.exec(line)?.[1] }];
  });
}

/** ztunnel's ports are open in the pod, by a process that lives elsewhere. */
export async function socketsOfZtunnel(world: ClaimWorld): Promise<Finding> {
  const own = (await listenersIn(world, 'client')).filter(({ port }) => port > 15000);
  const ports = [...new Set(own.map(({ port }) => port))];
  const missing = [15001, 15006, 15008].filter((port) => !ports.includes(port));
  const pid = own.find((listener) => listener.pid !== undefined)?.pid;
  if (missing.length > 0) return settle(false, `no listener on ${missing.join(' ')}`);
  if (pid === undefined) throw new EvidenceMissing('the process that ss names');
  const owner = (await world.read('client', 'readlink', `/proc/${pid}/ns/net`)).trim();
  const here = (await world.read('client', 'readlink', '/proc/self/ns/net')).trim();
  const text = `process ${pid} in ${owner} listens in the pod's ${here}`;
  return settle(owner !== here, text, { evidence: own.map(({ line }) => line) });
}

/** Nothing of ztunnel is bound in the pod beside its four ports; its own are in its own namespace. */
export async function onlyFourPorts(world: ClaimWorld): Promise<Finding> {
  const inPod = (await listenersIn(world, 'client')).filter(({ port }) => port >= 15000);
  const ports = [...new Set(inPod.map(({ port }) => port))].sort((a, b) => a - b);
  const others = ports.filter((port) => !GOLDEN_PORTS.includes(port));
  const outside = await listenersIn(world, 'ztunnel/node1');
  const admin = outside.some(({ port }) => port === 15000);
  const text = `in the pod: ${ports.join(' ')}; 15000 is in ztunnel's namespace: ${admin}`;
  const evidence = inPod.map(({ line }) => line);
  return settle(ports.length === 4 && others.length === 0 && admin, text, { evidence });
}

/** A pod that leaves loses its sockets; another keeps its own. */
export async function ownSetOfPorts(world: ClaimWorld): Promise<Finding> {
  const count = async (pod: string) =>
    (await listenersIn(world, pod)).filter(({ port }) => GOLDEN_PORTS.includes(port)).length;
  await world.lab.enrol('guest');
  const before = [await count('guest'), await count('far')];
  await world.lab.leave('guest');
  const after = [await count('guest'), await count('far')];
  const isSo = before[0]! > 0 && before[1]! > 0 && after[0] === 0 && after[1] === before[1];
  const text = `listeners of two pods: ${before.join(' and ')}; after one left: ${after.join(' and ')}`;
  return settle(isSo, text);
}

/** The kernel has the era's rules, routes and policy rules, in order, none too many. */
export async function rulesAreTheEras(world: ClaimWorld): Promise<Finding> {
  if (usesNft(world)) return nftRulesAreTheEras(world);
  const { drift, missingRouting, saved, enrolled } = await world.rules('client');
  if (drift === undefined) {
    return settle(false, enrolled ? 'the era wants no rule here' : 'the pod is not enrolled');
  }
  const rules = saved.split('\n').filter((line) => line.includes('ISTIO_'));
  const isSo = drift.isClean && missingRouting.length === 0 && rules.length > 0;
  const faults = [...drift.missing, ...drift.extra].map(({ text }) => text);
  const text = isSo
    ? `${rules.length} lines of iptables-save, all of the era, in order`
    : `differs: ${faults.join('; ') || 'order or routes'}`;
  return settle(isSo, text, { evidence: rules });
}

async function without(
  world: ClaimWorld,
  pod: string,
  take: readonly string[],
  put: readonly string[],
): Promise<Finding> {
  await world.read(pod, ...take);
  try {
    const seen = await statusFrom(world, 'client', 'far');
    return settle(seen !== '200', `without "${put.slice(1).join(' ')}": ${seen}`);
  } finally {
    await world.read(pod, ...put);
  }
}

/** The mark leads to table 100, whose one route is local; without either inbound breaks. */
export async function markSelectsTable100(world: ClaimWorld): Promise<Finding> {
  const rules = await world.read('far', 'ip', 'rule', 'show');
  const routes = (await world.run('far', ['ip', 'route', 'show', 'table', '100'])).stdout.trim();
  const isRule = /fwmark 0x111\/0xfff lookup 100/.test(rules);
  const isOnly = /^local (default|0\.0\.0\.0\/0) dev lo[^\n]*$/.test(routes);
  const listed = settle(isRule && isOnly, `rule: ${isRule}, routes of table 100: ${routes}`, {
    evidence: [...rules.split('\n'), routes],
  });
  if (!isRule || !isOnly) return listed;
  const before = await statusFrom(world, 'client', 'far');
  const rule = ['fwmark', '0x111/0xfff', 'pref', '32764', 'lookup', '100'];
  const route = ['local', '0.0.0.0/0', 'dev', 'lo', 'table', '100'];
  return together(
    listed,
    settle(before === '200', `with both: ${before}`),
    await without(world, 'far', ['ip', 'rule', 'del', ...rule], ['ip', 'rule', 'add', ...rule]),
    await without(world, 'far', ['ip', 'route', 'del', ...route], ['ip', 'route', 'add', ...route]),
  );
}

/** Loading the rules as they stand a second time fails; asking the agent again changes nothing. */
export async function applyTwice(world: ClaimWorld): Promise<Finding> {
  const text = ['* mangle', '-N ISTIO_PRERT', 'COMMIT'].join('\\n');
  const raw = await world.run('client', [
    'sh',
    '-c',
    `printf '${text}\\n' | iptables-restore --noflush -w 10`,
  ]);
  const rules = async () => (await world.read('client', 'iptables-save')).replaceAll(/^#.*$/gm, '');
  const before = await rules();
  const again = await world.lab.enrol('client');
  const isSame = before === (await rules());
  const failed = settle(
    raw.exitCode !== 0 && /line 2 failed/.test(raw.stderr),
    `restored again: exit ${raw.exitCode}`,
    { evidence: [raw.stderr.trim()] },
  );
  const isNoop = !again.changed && again.repaired !== true && isSame;
  return together(failed, settle(isNoop, `by the agent again: rules the same ${isSame}`));
}

async function snapshot(world: ClaimWorld, place: string): Promise<readonly string[]> {
  const texts = await Promise.all([
    ruleLines(world, place).then((lines) => lines.map(withoutCounters).join('\n')),
    world.read(place, 'ip', 'rule', 'show'),
    world.read(place, 'ip', 'route', 'show', 'table', 'all'),
    world.read(place, 'ip', '-o', 'link', 'show'),
    world.run(place, ['ipset', 'save']).then(({ stdout }) => stdout),
    world.run(place, ['sysctl', '-a', '-r', 'rp_filter|accept_local|ip_forward|route_localnet']),
  ]);
  return texts
    .map((text) => (typeof text === 'string' ? text : text.stdout))
    .join('\n')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** What enrolling a pod changes on its node: an entry of one set; and of rules there is one SNAT. */
export async function nodeUntouched(world: ClaimWorld): Promise<Finding> {
  const before = await snapshot(world, 'node2');
  await world.lab.enrol('guest');
  const after = await snapshot(world, 'node2');
  await world.lab.leave('guest');
  const added = after.filter((line) => !before.includes(line));
  const removed = before.filter((line) => !after.includes(line));
  const istio = after.filter((line) => /^-A ISTIO_|\bsnat ip6? to\b/.test(line));
  const isOneEntry = added.length === 1 && /^add istio-inpod-probes/.test(added[0]!);
  const isOneRule = istio.length === 1 && /-j SNAT|snat ip to/.test(istio[0]!);
  const text = `enrolment added ${added.length} line(s), removed ${removed.length}; rules of Istio on the node: ${istio.length}`;
  return settle(isOneEntry && removed.length === 0 && isOneRule, text, {
    evidence: [...added.map((line) => `+ ${line}`), ...istio],
  });
}

/** A pod that joined and left has the rules, routes and chains that it had before. */
export async function leavesNothing(world: ClaimWorld): Promise<Finding> {
  const own = (lines: readonly string[]) =>
    lines.filter((line) => /ISTIO_|istio-|fwmark|table 100\b|1500[168]|15053/.test(line));
  await world.lab.enrol('guest');
  const during = own(await snapshot(world, 'guest'));
  await world.lab.leave('guest');
  const left = own(await snapshot(world, 'guest'));
  const text = `${during.length} lines while enrolled, ${left.length} afterwards`;
  return settle(during.length > 5 && left.length === 0, text, { evidence: left });
}

/** Connections of a pod to its own proxy ports end without an answer. */
export async function ownPortsRefused(world: ClaimWorld): Promise<Finding> {
  const { address } = world.lab.plan.pods.find(({ name }) => name === 'client') ?? {};
  const ends: string[] = [];
  for (const port of [15001, 15006, 15008]) {
    const done = await world.run('client', [...CURL, `http://${address}:${port}/`]);
    ends.push(`${port}: curl exit ${done.exitCode}`);
  }
  const control = await statusFrom(world, 'client', 'client');
  const isSo =
    ends.every((end) => !end.endsWith(' 0') && !end.endsWith(' 28')) && control === '200';
  return settle(isSo, `${ends.join(', ')}; own app: ${control}`, { evidence: ends });
}

/** The dump's protocol of a pod turns with its enrolment, and so does what is on the wire. */
export async function protocolFlips(world: ClaimWorld): Promise<Finding> {
  const protocol = async (): Promise<string> => {
    const dump = await world.read(
      'ztunnel/node1',
      'curl',
      '-s',
      'http://127.0.0.1:15000/config_dump',
    );
    const { workloads } = JSON.parse(dump) as {
      readonly workloads: readonly { readonly name: string; readonly protocol?: string }[];
    };
    return workloads.find(({ name }) => name === 'guest')?.protocol ?? 'TCP';
  };
  const before = await protocol();
  await world.lab.enrol('guest');
  const during = await protocol();
  await world.lab.leave('guest');
  const after = await protocol();
  const isSo = [before, during, after].join() === 'TCP,HBONE,TCP';
  return settle(isSo, `config_dump: ${before}, enrolled ${during}, left ${after}`);
}
