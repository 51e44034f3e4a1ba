import t from 'tap';
import type { Lab } from '../../lab/world/lab.ts';
import {
  addressOf,
  execIn,
  eventually,
  peerIn,
  startLab,
  startPeer,
  PROXY_ERAS,
} from './support/lab.ts';

interface Held {
  readonly echoed: number;
  readonly end: string;
}

interface Outcomes {
  readonly outcomes: readonly string[];
}

for (const era of PROXY_ERAS) {
  t.test(`lives of pods and proxies in era ${era}`, async (t) => {
    await using lab = await startLab('pairs.yaml', era, 'l');
    const far = addressOf(lab, 'far');
    const stranger = addressOf(lab, 'stranger');

    await t.test(
      'a running pod is enrolled and taken out without restarting its app',
      async (t) => {
        const before = await appProcesses(lab);
        const echoed: number[] = [];
        for (const isTracked of [false, true]) {
          await setTracking(lab, isTracked);
          await using held = await startPeer(lab, 'bystander', 'hold', {
            host: stranger,
            port: 9000,
            everyMs: 20,
            forMs: 2_500,
          });
          t.match(await lab.enrol('stranger'), { enrolled: true, changed: true });
          t.equal(
            await statusOf(lab, 'client', 'http://stranger.plain/get'),
            '200',
            'new connections work inside',
          );
          const end = await held.next<Held>();
          echoed.push(end.echoed);
          // Tracked before, it is no new connection and passes the rules; else the redirect takes it.
          if (isTracked) t.equal(end.end, 'open', 'a connection known to conntrack goes on');
          t.comment(
            `connection open at enrolment, conntrack active before: ${isTracked}: ${end.end} after ${end.echoed} echoes`,
          );
          t.match(await lab.leave('stranger'), { enrolled: false, changed: true });
          t.equal(
            await statusOf(lab, 'client', 'http://stranger.plain/get'),
            '200',
            'and outside again',
          );
        }
        const [cut = 0, kept = 0] = echoed;
        t.ok(cut < kept / 2, `one that is not known ends with the enrolment: ${cut} of ${kept}`);
        t.same(await appProcesses(lab), before, 'the processes of the apps are the same ones');
        t.match(
          await lab.leave('stranger'),
          { enrolled: false, changed: false },
          'leaving twice changes nothing',
        );
      },
    );

    await t.test('a pod that leaves loses what ztunnel carries for it, and works on', async (t) => {
      await lab.enrol('stranger');
      const hold = (from: string, host: string): ReturnType<typeof startPeer> =>
        startPeer(lab, from, 'hold', { host, port: 9000, everyMs: 20, forMs: 4_000 });
      await using out = await hold('stranger', far);
      await using into = await hold('client', stranger);
      await using other = await hold('client', far);
      t.match(await lab.leave('stranger'), { enrolled: false, changed: true });
      const ends = { out: await out.next<Held>(), into: await into.next<Held>() };
      for (const [way, { end, echoed }] of Object.entries(ends)) {
        t.comment(`connection ${way} of the pod, open when it left: ${end} after ${echoed} echoes`);
        t.ok(echoed > 0, 'it had been in use');
        t.not(end, 'open', `what went ${way} through ztunnel is cut, not left hanging`);
      }
      t.equal((await other.next<Held>()).end, 'open', 'control: that of another pod goes on');
      t.equal(await statusOf(lab, 'client', 'http://stranger.plain/get'), '200', 'new ones work');
    });

    await t.test('a killed ztunnel comes back and serves every pod again', async (t) => {
      await using traffic = await startPeer(lab, 'client', 'hold', {
        host: far,
        port: 9000,
        everyMs: 20,
        forMs: 20_000,
      });
      await lab.kill('ztunnel', 'node1', 'SIGKILL');
      const cut = await traffic.next<Held>();
      t.not(cut.end, 'open', `what went through it is cut: ${cut.end}`);
      const down = await peerIn<Outcomes>(lab, 'client', 'pingPong', {
        host: far,
        port: 9000,
        times: 4,
        everyMs: 50,
      });
      t.notOk(
        down.outcomes.includes('ok'),
        `nothing gets round it meanwhile: ${down.outcomes.join(' ')}`,
      );
      await lab.restart('ztunnel', 'node1');
      const up = await peerIn<Outcomes>(lab, 'client', 'pingPong', {
        host: far,
        port: 9000,
        times: 6,
        everyMs: 50,
      });
      t.ok(
        up.outcomes.every((o) => o === 'ok'),
        `new connections work: ${up.outcomes.join(' ')}`,
      );
    });

    await t.test('traffic goes on while the agent is dead', async (t) => {
      await lab.kill('agent', 'node2', 'SIGKILL');
      const { outcomes } = await peerIn<Outcomes>(lab, 'client', 'pingPong', {
        host: far,
        port: 9000,
        times: 10,
        everyMs: 50,
      });
      t.ok(
        outcomes.every((o) => o === 'ok'),
        outcomes.join(' '),
      );
      await lab.restart('agent', 'node2');
      t.match(
        await lab.enrol('stranger'),
        { enrolled: true, changed: true },
        'its successor enrols pods',
      );
      t.equal(await statusOf(lab, 'client', 'http://stranger.plain/get'), '200');
      t.equal(
        await statusOf(lab, 'client', 'http://far.demo/get'),
        '200',
        'and kept those of its predecessor',
      );
    });
  });
}

async function statusOf(lab: Lab, from: string, url: string): Promise<string> {
  const argv = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '3', url];
  const done = await eventually(
    () => execIn(lab, from, argv),
    ({ exitCode }) => exitCode === 0,
    3_000,
  );
  return done.stdout;
}

async function appProcesses(lab: Lab): Promise<readonly string[]> {
  const { processes } = await lab.status();
  return processes
    .filter(({ kind }) => kind === 'app-host')
    .map(({ node, pid }) => `${node} ${pid}`);
}

/** A rule that looks at connections switches conntrack on in a namespace, as any firewall would. */
async function setTracking(lab: Lab, isTracked: boolean): Promise<void> {
  const action = isTracked ? '-I' : '-D';
  const rule = [
    'iptables',
    '-t',
    'filter',
    action,
    'INPUT',
    '-m',
    'conntrack',
    '--ctstate',
    'ESTABLISHED',
    '-j',
    'ACCEPT',
  ];
  await execIn(lab, 'stranger', rule);
}
