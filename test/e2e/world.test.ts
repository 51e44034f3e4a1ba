import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { connectLab, createLab, listLabs } from '../../lab/world/client.ts';
import { removeDead } from '../../lab/world/lab-directory.ts';
import type { Progress } from '../../lab/world/lab.ts';
import { labPaths } from '../../lab/world/paths.ts';
import { loadTopology } from '../../topologies/load.ts';
import { eventually, execIn } from './support/lab.ts';

const TOPOLOGY = join(import.meta.dirname, '..', '..', 'topologies', 'two-nodes.yaml');
const topology = loadTopology(TOPOLOGY);
const name = `w${process.pid}`;
const plan = planLab(topology, { lab: name });
const progress: Progress[] = [];
const lab = await createLab(plan, { onProgress: (one) => progress.push(one) });
t.teardown(() => lab.down());
const ask = (from: string, to: string) => lab.request({ from, to, count: 1 });

t.test('createLab() tells its steps and builds what was planned', async (t) => {
  const steps = progress.filter(({ state }) => state === 'done').map(({ step }) => step);
  t.same(steps, ['supervisor', 'namespaces', 'links', 'rules', 'processes', 'enrol', 'apps']);
  t.same(await lab.drift(), []);
});

t.test('drift() sees what was changed behind its back', async (t) => {
  await execIn(lab, 'sleep', ['ip', 'route', 'add', '203.0.113.0/24', 'dev', 'eth0']);
  await execIn(lab, 'legacy', ['ip', 'link', 'set', 'eth0', 'mtu', '1400']);
  await execIn(lab, 'node2', ['iptables', '-t', 'nat', '-F', 'KUBE-POSTROUTING']);
  const seen = await lab.drift();
  t.equal(
    seen.filter((fault) => /^node2: rule nat -A KUBE-POSTROUTING .* is missing$/.test(fault))
      .length,
    3,
  );
  t.same(seen.slice(0, 2), [
    'sleep.demo: route 203.0.113.0/24 on eth0 is not of the plan',
    'legacy.legacy: link eth0 has MTU 1400, 1500 wished',
  ]);
  await execIn(lab, 'sleep', ['ip', 'route', 'del', '203.0.113.0/24']);
  await execIn(lab, 'legacy', ['ip', 'link', 'set', 'eth0', 'mtu', '1500']);
  const { restore = '' } = plan.netns.find((netns) => netns.name === 'node2') ?? {};
  const lost = restore.split('\n').filter((line) => line.startsWith('-A KUBE-POSTROUTING'));
  const again = ['*nat', ...lost, 'COMMIT'].join('\\n');
  await execIn(lab, 'node2', ['sh', '-c', `printf '${again}\\n' | iptables-restore -n`]);
  t.same(await lab.drift(), []);
});

t.test('exec() runs a program as a pod would', async (t) => {
  const curl = await execIn(lab, 'sleep', ['curl', '-s', 'http://httpbin.demo:8000/get']);
  t.equal(curl.exitCode, 0);
  t.match(JSON.parse(curl.stdout), { origin: '10.244.1.4', pod: 'httpbin' });
  const resolv = await execIn(lab, 'sleep', ['cat', '/etc/resolv.conf']);
  t.match(resolv.stdout, 'search demo.svc.cluster.local');
  const links = await execIn(lab, 'sleep', ['ls', '/sys/class/net']);
  t.same(links.stdout.split('\n'), ['eth0', 'lo'], '/sys is that of the namespace');
  const pids = await execIn(lab, 'node1', ['cat', '/proc/1/comm']);
  t.equal(pids.stdout, 'ambient-lab', '/proc is that of the lab');
  t.equal((await execIn(lab, 'ztunnel-node1', ['true'])).exitCode, 0);
  t.equal((await execIn(lab, 'outside', ['true'])).exitCode, 0);
});

t.test('exec() passes exit codes on, and has its own for what it cannot start', async (t) => {
  const code = (argv: readonly string[], user?: number) =>
    lab.exec('sleep', argv, { stdio: 'ignore', user });
  t.equal(await code(['sh', '-c', 'exit 42']), 42);
  t.equal(await code(['sh', '-c', 'kill -TERM $$']), 143);
  t.equal(await code(['no-such-program']), 127);
  t.equal(await code(['/etc/passwd']), 126);
  t.equal(await code(['sh', '-c', 'test $(id -u) = 1337'], 1337), 0);
  t.equal(await lab.exec('sleep', ['sh', '-c', 'test "$A" = b'], { env: { A: 'b' } }), 0);
});

t.test('exec() ends its program when it is told to', async (t) => {
  const marker = `sleep ${30_000 + process.pid}`;
  const stop = new AbortController();
  const running = lab.exec('sleep', marker.split(' '), { stdio: 'ignore', signal: stop.signal });
  const isSeen = async () =>
    (await execIn(lab, 'node1', ['ps', '-eo', 'args'])).stdout.split('\n').includes(marker);
  t.ok(await eventually(isSeen, Boolean));
  stop.abort();
  t.equal(await running, 143);
  t.notOk(await isSeen());
});

t.test('a program started by exec() dies with the one who started it', async (t) => {
  const marker = `sleep ${40_000 + process.pid}`;
  const [file, ...args] = lab.execArgv('sleep', marker.split(' '));
  const child = spawn(file, args, { stdio: 'ignore' });
  const isSeen = async () =>
    (await execIn(lab, 'node1', ['ps', '-eo', 'args'])).stdout.split('\n').includes(marker);
  t.ok(await eventually(isSeen, Boolean));
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.notOk(await eventually(isSeen, (seen) => !seen));
});

t.test('exec() into an unknown pod names the nearest', async (t) => {
  t.throws(() => lab.execArgv('slep', ['true']), { code: 'LAB_UNKNOWN_POD', suggestion: 'sleep' });
});

t.test('the supervisor reaps what its programs leave behind', async (t) => {
  await execIn(lab, 'sleep', ['sh', '-c', 'for i in 1 2 3 4 5; do sleep 0.1 & done']);
  // What nsenter leaves behind is the child of the machine's own init, parent 0 in here.
  const zombies = async () =>
    (await execIn(lab, 'node1', ['ps', '-eo', 'ppid=,stat='])).stdout
      .split('\n')
      .filter((line) => /^\s*1\s+Z/.test(line));
  t.same(await eventually(zombies, ({ length }) => length === 0), []);
});

t.test('the cluster DNS answers as the Kubernetes specification says', async (t) => {
  const dig = async (...args: readonly string[]) =>
    (await execIn(lab, 'legacy', ['dig', '+time=2', '+tries=1', ...args])).stdout;
  const httpbin = 'httpbin.demo.svc.cluster.local';
  t.equal(await dig('+short', httpbin), '10.96.1.1');
  t.equal(await dig('+short', '+tcp', httpbin.toUpperCase()), '10.96.1.1');
  t.equal(await dig('+short', '-x', '10.96.1.1'), `${httpbin}.`);
  t.equal(await dig('+short', 'TXT', 'dns-version.cluster.local'), '"1.1.0"');
  t.equal(await dig('+short', '10-244-1-4.demo.pod.cluster.local'), '10.244.1.4');
  const none = await dig('AAAA', httpbin);
  t.match(none, /status: NOERROR.*ANSWER: 0/s);
  t.match(none, /SOA/);
  t.match(await dig('demo.svc.cluster.local'), /status: NOERROR.*ANSWER: 0/s);
  t.match(await dig('nothing.demo.svc.cluster.local'), /status: NXDOMAIN/);
  t.match(await dig('example.com'), /status: NXDOMAIN/);
  t.match(await dig('+opcode=4', httpbin), /status: NOTIMP/);
});

t.test('request() tells how a request went, whatever its end', async (t) => {
  t.match(await ask('legacy', 'http://legacy.legacy:8000/status/418'), {
    outcome: 'ok',
    status: 418,
    exitCode: 0,
    clientNetns: 'legacy.legacy',
    remote: '10.96.1.2:8000',
  });
  const large = await ask('legacy', 'http://legacy.legacy:8000/bytes/100000');
  t.match(large, { outcome: 'ok', status: 200, local: /^10\./ }, 'whatever is kept of the body');
  t.match(await ask('legacy', 'tcp://outside:9000'), {
    outcome: 'ok',
    sourceSeenByApp: /^172\.18\.0\.1:/,
  });
  t.match(await ask('legacy', 'udp://outside:9000'), {
    outcome: 'ok',
    sourceSeenByApp: /^172\.18\.0\.1:/,
  });
  t.match(await ask('legacy', 'tcp://outside:9'), { outcome: 'refused' });
  t.match(await ask('legacy', 'http://outside:9/'), { outcome: 'refused', exitCode: 7 });
  t.match(await ask('legacy', 'http://outside:8080/reset'), { outcome: 'reset', exitCode: 56 });
  const late = { from: 'legacy', to: 'http://outside:8080/delay/5', count: 1 };
  t.match(await lab.request(late, { timeoutMs: 300 }), { outcome: 'timeout', exitCode: 28 });
  t.match(await ask('outside', 'http://node:node1:30080/get'), { status: 200 });
  t.match(await ask('httpbin', 'http://self:8080/ip'), {
    status: 200,
    sourceSeenByApp: /^10\.244\.2/,
  });
  await t.rejects(ask('legacy', 'http://nowhere.demo:1/'), { code: 'LAB_UNKNOWN_SERVICE' });
});

t.test('the control socket is for root alone', async (t) => {
  t.equal(statSync(join(lab.directory, 'control.sock')).mode & 0o777, 0o600);
  t.equal(statSync(lab.directory).mode & 0o777, 0o700);
  t.match(readFileSync('/proc/net/unix', 'utf8'), `${lab.directory}/control.sock`);
});

t.test('createLab() of a name that runs fails and changes nothing', async (t) => {
  await t.rejects(createLab(plan), { code: 'LAB_EXISTS' });
  t.equal((await ask('legacy', 'http://legacy.legacy:8000/get')).status, 200);
});

t.test('connectLab() finds a running lab, and letting go of it leaves it running', async (t) => {
  {
    await using other = await connectLab(name);
    t.equal((await other.status()).state, 'ready');
    t.same(
      other.plan.pods.map((pod) => pod.uid),
      plan.pods.map((pod) => pod.uid),
    );
  }
  t.equal(listLabs().find((entry) => entry.name === name)?.state, 'alive');
  await t.rejects(connectLab('no-such-lab'), { code: 'LAB_NOT_RUNNING' });
  await t.rejects(connectLab('../etc'), { code: 'LAB_BAD_NAME' });
});

t.test('a lab that is not detached dies with the process that made it', async (t) => {
  const orphan = `${name}-orphan`;
  const script = join(import.meta.dirname, 'support', 'hold-lab.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', script, TOPOLOGY, orphan], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const state = () => listLabs().find((entry) => entry.name === orphan)?.state;
  t.equal(state(), 'alive');
  child.kill('SIGKILL');
  t.equal(
    await eventually(
      async () => state(),
      (seen) => seen === 'dead',
      2_000,
    ),
    'dead',
  );
  t.ok(removeDead(labPaths(orphan)));
});

t.test('capture: every interface is recorded and the files are there', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ambient-lab-capture-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  await lab.startCapture(directory);
  await t.rejects(lab.startCapture(directory), { code: 'LAB_BUSY' });
  await ask('legacy', 'http://httpbin.demo:8000/get');
  const recording = await lab.stopCapture();
  const frames = (at: string) =>
    recording.interfaces.find((i) => `${i.netns}/${i.name}` === at)?.frames ?? -1;
  t.ok(frames('legacy.legacy/eth0') > 0 && frames('fabric/p-node2') > 0);
  t.same(
    recording.interfaces.filter((i) => i.kernelDrops > 0),
    [],
  );
  t.ok(readFileSync(join(directory, 'plan.json'), 'utf8').includes(name));
  await t.rejects(lab.stopCapture(), { code: 'LAB_NO_CAPTURE' });
  await t.rejects(lab.startCapture('/run/x'), { code: 'LAB_BAD_DIRECTORY' });
});
