import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab, gc, listLabs } from '../../lab/world/client.ts';
import type { Lab } from '../../lab/world/lab.ts';
import { loadTopology } from '../../topologies/load.ts';
import {
  diffHostState,
  namespaceOf,
  namespacesInUse,
  readHostState,
} from '../e2e/support/host-state.ts';
import { eventually } from '../e2e/support/lab.ts';

t.setTimeout(150_000);

const TOPOLOGY = join(import.meta.dirname, '..', '..', 'topologies', 'two-nodes.yaml');
const topology = loadTopology(TOPOLOGY);
const planOf = (suffix: string) => planLab(topology, { lab: `h${process.pid}${suffix}` });
const get = { from: 'sleep', to: 'http://httpbin.demo:8000/get', count: 1 };

t.test('createLab() changes nothing of the machine, before, during, after', async (t) => {
  const before = readHostState();
  t.ok(before.sysctls.length > 100 && before.mounts.length > 3, 'the snapshot sees something');
  const lab = await createLab(planOf('a'));
  t.equal((await lab.request(get)).status, 200);
  t.same(diffHostState(before, readHostState()), [], 'while it runs');
  t.ok(existsSync(lab.directory));
  await lab.down();
  t.same(diffHostState(before, readHostState()), [], 'after it');
  t.notOk(existsSync(lab.directory));
});

t.test('diffHostState() tells a change', async (t) => {
  const before = readHostState();
  const diff = diffHostState(before, {
    ...before,
    rules: [...before.rules, '9: from all lookup 9'],
  });
  t.same(diff, ['rules + 9: from all lookup 9']);
});

t.test('two labs do not disturb each other', async (t) => {
  const [one, two] = await Promise.all([createLab(planOf('b')), createLab(planOf('c'))]);
  const both = await Promise.all([one.request(get), two.request(get)]);
  t.same(
    both.map(({ status }) => status),
    [200, 200],
  );
  t.same(
    both.map(({ local }) => local?.split(':')[0]),
    ['10.244.1.4', '10.244.1.4'],
    'the same addresses, in two worlds',
  );
  await one.down();
  t.equal((await two.request(get)).status, 200, 'the end of one is not the end of the other');
  t.same(await two.drift(), []);
  await two.down();
});

t.test('kill -9 of the supervisor leaves a directory, which gc() removes', async (t) => {
  const before = readHostState();
  const lab = await createLab(planOf('d'));
  const pidNamespace = namespaceOf(lab.supervisorPid, 'pid') ?? '';
  t.ok((namespacesInUse('pid').get(pidNamespace) ?? 0) > 5, 'its programs are seen');
  const netns = await netnsOf(lab);
  t.ok(netns.length > 0 && netns.every((inode) => namespacesInUse('net').has(inode)));
  process.kill(lab.supervisorPid, 'SIGKILL');
  const isGone = (): boolean =>
    !namespacesInUse('pid').has(pidNamespace) &&
    netns.every((inode) => !namespacesInUse('net').has(inode));
  t.ok(await eventually(async () => isGone(), Boolean, 1_000), 'no process within a second');
  const entry = () => listLabs().find(({ name }) => name === lab.name)?.state;
  t.equal(entry(), 'dead');
  await t.rejects(lab.status(), { code: 'LAB_SUPERVISOR_DIED' });
  t.throws(() => lab.execArgv('sleep', ['true']), { code: 'LAB_SUPERVISOR_DIED' });
  t.ok(gc({ dryRun: true }).includes(lab.name));
  t.equal(entry(), 'dead', 'a dry run removes nothing');
  t.ok(gc().includes(lab.name));
  t.notOk(gc().includes(lab.name), 'the second time there is nothing left');
  t.notOk(existsSync(lab.directory));
  t.same(diffHostState(before, readHostState()), []);
});

/** Namespaces that processes of the lab live in, as the machine sees them. */
async function netnsOf(lab: Lab): Promise<string[]> {
  const { processes } = await lab.status();
  const own = namespaceOf(lab.supervisorPid, 'pid');
  const inodes = new Set<string>();
  for (const pid of await pidsIn(own)) inodes.add(namespaceOf(pid, 'net') ?? '');
  inodes.delete('');
  if (inodes.size < 2 || processes.length === 0) throw new Error('No programs of the lab are seen');
  return [...inodes];
}

async function pidsIn(namespace: string | undefined): Promise<number[]> {
  const { readdir } = await import('node:fs/promises');
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.filter((pid) => namespaceOf(pid, 'pid') === namespace);
}
