import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runProgram } from '../../lab/hosts/run.ts';
import { command, commandAsNobody } from './support/command.ts';
import { scratchDirectory } from './support/lab.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const TWO_NODES = join(ROOT, 'topologies', 'two-nodes.yaml');

t.setTimeout(280_000);

const helps = new Map<string, Promise<string>>();

function helpOf(verb: string): Promise<string> {
  const known = helps.get(verb) ?? command([verb, '--help']).then(({ stdout }) => stdout);
  helps.set(verb, known);
  return known;
}

t.test('every verb has help with an example', async (t) => {
  const { stdout: general } = await command(['--help']);
  const verbs = [...general.matchAll(/^ {2}([a-z][\w-]*) .*/gm)].map(([, verb]) => verb!);
  const known = [
    'run',
    'up',
    'down',
    'status',
    'plan',
    'exec',
    'enrol',
    'leave',
    'rules',
    'capture',
  ];
  const more = ['trace', 'prove', 'claims', 'diff', 'mutate', 'doctor', 'gc'];
  for (const verb of [...known, ...more]) t.ok(verbs.includes(verb), `${verb} is listed`);
  for (const verb of verbs.filter((each) => each !== 'help')) {
    t.match(
      await helpOf(verb),
      new RegExp(`Example:\\n.*npm run lab -- ${verb}`),
      `${verb} shows an example`,
    );
  }
});

t.test('the version is that of the package', async (t) => {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  const env = { AMBIENT_LAB_ROOT: ROOT };
  t.match(await command(['--version'], { env }), { exitCode: 0, stdout: version });
});

t.test('bad input is exit code 2, says where and what, and changes nothing', async (t) => {
  await using scratch = await scratchDirectory();
  const cases: readonly { name: string; text: string; says: RegExp }[] = [
    {
      name: 'unknown key',
      text: 'name: x\nnodez: [a]\n',
      says: /:2:1: .*nodez.*did you mean "nodes"/i,
    },
    {
      name: 'unknown era',
      text: 'name: x\nera: inpod\nnodes: [a]\n',
      says: /:2:6: .*inpod-redirect/,
    },
    {
      name: 'duplicate name',
      text: 'name: x\nnodes: [a, a]\n',
      says: /:2:12: .*"a"/,
    },
    {
      name: 'overlapping ranges',
      text: 'name: x\nnodes:\n  - { name: a, podRange: 10.1.0.0/16 }\n  - { name: b, podRange: 10.1.2.0/24 }\n',
      says: /:4:\d+: .*overlap/i,
    },
    {
      name: 'address twice',
      text: 'name: x\nnodes: [a]\nworkloads:\n  p: { address: 10.244.1.9 }\n  q: { address: 10.244.1.9 }\n',
      says: /:5:\d+: .*10\.244\.1\.9/,
    },
  ];
  for (const { name, text, says } of cases) {
    const file = join(scratch.path, 'topology.yaml');
    await writeFile(file, text);
    const { exitCode, stderr, stdout } = await command(['run', file]);
    t.equal(exitCode, 2, name);
    t.match(stderr, says, `${name} is told with its place`);
    t.equal(stdout, '', `${name} leaves stdout alone`);
    t.notMatch(stderr, /\n\s+at /, `${name} shows no stack`);
  }
  const era = await command(['doctor', '--era', 'inpod']);
  t.match(era, { exitCode: 2, stderr: /inpod-redirect/ }, 'doctor knows the eras too');
  const missing = await command(['run', join(scratch.path, 'nowhere.yaml')]);
  t.equal(missing.exitCode, 2, 'file not found');
  t.match(missing.stderr, /nowhere\.yaml/);
});

t.test('what is no topology at all is exit code 2 too', async (t) => {
  await using scratch = await scratchDirectory();
  const path = (name: string): string => join(scratch.path, name);
  await mkdir(path('directory.yaml'));
  await writeFile(
    path('garbage.yaml'),
    Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 89) % 256)),
  );
  await writeFile(path('enormous.yaml'), `name: x # ${'x'.repeat(3_000_000)}\n`);
  await writeFile(path('empty.yaml'), '');
  await symlink('loop.yaml', path('loop.yaml'));
  for (const name of ['directory', 'garbage', 'enormous', 'empty', 'loop']) {
    const { exitCode, stdout, stderr } = await command(['run', path(`${name}.yaml`)]);
    t.equal(exitCode, 2, name);
    t.match(stderr, new RegExp(`${name}\\.yaml`), `${name} is named`);
    t.notMatch(stderr, /\n\s+at /, `${name} shows no stack`);
    t.equal(stdout, '');
  }
  await writeFile(path('secret.yaml'), 'name: x\n', { mode: 0 });
  await chmod(scratch.path, 0o755);
  const secret = await commandAsNobody(['plan', path('secret.yaml')]);
  t.match(secret, { exitCode: 2, stderr: /no permission/ });
  const stdin = await command(['plan', '-'], { input: 'name: x\nnodez: [a]\n' });
  t.match(stdin, { exitCode: 2, stderr: /^-:2:1: .*nodez/m }, 'standard input has places too');
  const good = await command(['plan', '-'], { input: await readFile(TWO_NODES, 'utf8') });
  t.match(good, { exitCode: 0, stdout: /kind: Namespace/ });
  t.match(await command(['plan', '-'], { input: '' }), { exitCode: 2, stderr: /empty/ });
});

t.test('unknown images and kinds are refused by name', async (t) => {
  await using scratch = await scratchDirectory();
  const file = join(scratch.path, 'topology.yaml');
  await writeFile(file, 'name: x\nnodes: [a]\nmanifests: [objects.yaml]\n');
  const objects = join(scratch.path, 'objects.yaml');
  await writeFile(objects, 'apiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: s }\n');
  const kind = await command(['plan', file]);
  t.equal(kind.exitCode, 2);
  t.match(kind.stderr, /objects\.yaml:2:\d+: .*StatefulSet/);
  await writeFile(
    objects,
    'apiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec:\n  containers:\n    - { name: c, image: example.com/unheard-of:1 }\n',
  );
  const image = await command(['plan', file]);
  t.equal(image.exitCode, 2);
  t.match(image.stderr, /objects\.yaml:6:\d+: .*unheard-of/);
});

t.test('what the machine cannot do is exit code 3', async (t) => {
  const nobody = await commandAsNobody(['run', TWO_NODES]);
  t.equal(nobody.exitCode, 3);
  t.match(nobody.stderr, /root/);
  t.equal((await commandAsNobody(['plan', TWO_NODES])).exitCode, 0, 'planning needs no root');

  await using scratch = await scratchDirectory();
  const real = (await runProgram(['which', 'iptables-restore'])).stdout.trim();
  const fake = join(scratch.path, 'iptables-restore');
  await writeFile(
    fake,
    `#!/bin/sh\ninput=$(cat)\ncase "$input" in *TPROXY*) echo "No chain/target/match by that name." >&2; exit 1;; esac\nprintf '%s\\n' "$input" | ${real} "$@"\n`,
  );
  await chmod(fake, 0o755);
  const env = { PATH: `${scratch.path}:${process.env['PATH']}` };
  const without = await command(['run', TWO_NODES, '--era', 'inpod-tproxy'], { env });
  t.equal(without.exitCode, 3);
  t.match(without.stderr, /TPROXY/);

  const bare = join(scratch.path, 'bare');
  await mkdir(bare);
  for (const name of ['unshare', 'ip', 'iptables-restore', 'ipset', 'tc']) {
    const path = (await runProgram(['which', name])).stdout.trim();
    await symlink(path, join(bare, name));
  }
  const era = ['--era', 'inpod-nft'];
  const noNft = await command(['run', TWO_NODES, ...era], { env: { PATH: bare } });
  t.equal(noNft.exitCode, 3, 'era inpod-nft without nft');
  t.match(noNft.stderr, /nft nat .*\n.*the package nftables/);
});

/** Verbs whose examples a running lab answers soon; others build labs of their own, or are used below. */
const SHORT_VERBS = ['status', 'exec', 'enrol', 'leave', 'rules', 'trace'];

/** Every example of these verbs, as its help has it, in the lab of that name. */
async function runExamples(t: Test, lab: string, results: string): Promise<void> {
  for (const verb of SHORT_VERBS) {
    const [, examples = ''] = (await helpOf(verb)).split('\nExample:\n');
    const lines = examples.split('\n').flatMap((line) => {
      const found = /^ {2}npm run lab -- ([^…|;]+)$/.exec(line);
      return found === null ? [] : [found[1]!.split(' ')];
    });
    t.ok(lines.length > 0, `${verb} has an example to run`);
    for (const [name = '', ...rest] of lines) {
      const more = name === 'trace' ? ['--results', results] : [];
      const done = await command([name, '--lab', lab, ...more, ...rest]);
      t.equal(done.exitCode, 0, `${name} ${rest.join(' ')}`, { stderr: done.stderr });
    }
  }
  // The example of leave has taken it out.
  t.equal((await command(['enrol', '--lab', lab, 'sleep'])).exitCode, 0);
}

t.test('a lab is used as a person uses it', async (t) => {
  await using scratch = await scratchDirectory();
  const lab = `cli${process.pid}`;
  const on = ['--lab', lab];
  const results = ['--results', scratch.path];
  const up = await command(['up', TWO_NODES, ...on, '--json']);
  t.equal(up.exitCode, 0, up.stderr);
  t.teardown(() => command(['down', ...on]));
  t.match(JSON.parse(up.stdout), { name: lab, state: 'ready' }, 'stdout is one JSON value');

  const list = JSON.parse((await command(['status', '--all', '--json'])).stdout) as {
    name: string;
  }[];
  t.match(
    list.find(({ name }) => name === lab),
    { state: 'alive', era: 'inpod-redirect', nodes: 2, pods: 4, enrolled: 2 },
    'the list of labs says what each is',
  );

  const again = await command(['up', TWO_NODES, ...on]);
  t.equal(again.exitCode, 2, 'a second up of the same lab');
  t.match(again.stderr, new RegExp(lab));

  const curl = await command([
    'exec',
    ...on,
    'sleep',
    '--',
    'curl',
    '-s',
    'http://httpbin.demo:8000/get',
  ]);
  t.equal(curl.exitCode, 0, 'plain curl by the name of the service');
  t.match(
    JSON.parse(curl.stdout),
    { origin: /^10\.244\.1\./ },
    'stdout carries nothing but the answer',
  );
  t.equal(
    (await command(['exec', ...on, 'sleep', '--', 'sh', '-c', 'exit 7'])).exitCode,
    7,
    'its exit code is ours',
  );
  t.equal((await command(['exec', ...on, 'sleep', '--', 'no-such-program'])).exitCode, 127);
  const unknown = await command(['exec', ...on, 'sleeep', '--', 'true']);
  t.match(unknown.stderr, /sleep/, 'an unknown pod gets a suggestion');
  t.equal(unknown.exitCode, 2);

  const rules = await command(['rules', ...on, 'demo/sleep', '--json']);
  t.equal(rules.exitCode, 0);
  t.match(JSON.parse(rules.stdout), {
    enrolled: true,
    drift: { isClean: true },
    missingRouting: [],
    disagreements: [],
  });
  const rule = ['pref', '32764', 'fwmark', '0x111/0xfff', 'lookup', '100'];
  await command(['exec', ...on, 'sleep', '--', 'ip', 'rule', 'del', ...rule]);
  const misled = await command(['rules', ...on, 'demo/sleep']);
  t.equal(misled.exitCode, 1, 'a policy rule taken away shows');
  t.match(misled.stdout, /missing {2}ip -4 rule add fwmark 0x111\/0xfff pref 32764 lookup 100/);
  await command(['exec', ...on, 'sleep', '--', 'ip', 'rule', 'add', ...rule]);
  const mended = await command(['rules', ...on, 'demo/sleep']);
  t.equal(mended.exitCode, 0, 'and no more once it is back');
  t.match(mended.stdout, /local default dev lo table 100/, 'the route is shown as well');
  await command(['exec', ...on, 'sleep', '--', 'iptables', '-t', 'nat', '-D', 'ISTIO_OUTPUT', '1']);
  const drifted = await command(['rules', ...on, 'demo/sleep']);
  t.equal(drifted.exitCode, 1, 'a rule taken away shows');
  t.match(drifted.stdout, /missing/);
  t.match(await command(['enrol', ...on, 'sleep']), {
    exitCode: 0,
    stdout: /drifted and are repaired/,
  });
  t.equal(
    (await command(['rules', ...on, 'demo/sleep'])).exitCode,
    0,
    'enrolling again repairs it',
  );

  await runExamples(t, lab, scratch.path);

  const proof = await command(['prove', ...on, ...results, 'mtls', 'sleep', 'httpbin', '--json']);
  t.equal(proof.exitCode, 0, proof.stderr + proof.stdout);
  const disproof = await command(['prove', ...on, ...results, 'mtls', 'legacy', 'httpbin']);
  t.equal(disproof.exitCode, 1, 'what is not encrypted is refuted');
  t.match(await command(['enrol', ...on, 'legacy', '--json']), { exitCode: 0 });
  const enrolled = await command(['prove', ...on, ...results, 'mtls', 'legacy', 'httpbin']);
  t.equal(enrolled.exitCode, 0, 'once enrolled it holds');
  t.match(await command(['leave', ...on, 'legacy']), { exitCode: 0 });

  const trace = await command([
    'trace',
    ...on,
    ...results,
    'sleep',
    'http://httpbin.demo:8000/get',
  ]);
  t.equal(trace.exitCode, 0, trace.stderr);
  t.match(trace.stdout, /15008/);
  const capture = await command(['capture', ...on, ...results, '--seconds', '0.5', '--json']);
  t.equal(capture.exitCode, 0, capture.stderr);
  t.match(JSON.parse(capture.stdout), { interfaces: Array });

  t.equal((await command(['down', ...on])).exitCode, 0);
  t.equal((await command(['status', ...on])).exitCode, 2, 'gone is not running');
  // Labs that others left dead on this machine are none of ours, and gone after the first time.
  const { removed } = JSON.parse((await command(['gc', '--json'])).stdout);
  t.notOk(removed.includes(lab), 'a lab that went down in order leaves nothing for gc');
});

t.test('capture takes over the stream of a tcpdump', async (t) => {
  await using scratch = await scratchDirectory();
  const story = join(ROOT, 'test', 'fixtures', 'captures', 'plain.pcap');
  const options = ['--results', scratch.path, '--json'];
  const taken = await command(['capture', '--from', story, ...options]);
  t.equal(taken.exitCode, 0, taken.stderr);
  const { frames, conversations } = JSON.parse(taken.stdout);
  t.ok(frames > 5, 'its frames are counted');
  t.match(conversations, [{ requests: [/^GET /, /^HTTP\/1\.0 200/] }], 'and its requests are read');
  const cut = join(scratch.path, 'cut.pcap');
  await writeFile(cut, (await readFile(story)).subarray(0, -7));
  const refused = await command(['capture', '--from', cut, ...options]);
  t.equal(refused.exitCode, 2, 'a stream that ends inside a packet is refused');
  t.match(refused.stderr, /truncated|into a packet/);
  const missing = await command(['capture', '--from', join(scratch.path, 'none'), ...options]);
  t.equal(missing.exitCode, 2);
});

t.test('run leaves what it promised and nothing else', async (t) => {
  await using scratch = await scratchDirectory();
  const results = join(scratch.path, 'results');
  await mkdir(results);
  const lab = `run${process.pid}`;
  const done = await command(['run', TWO_NODES, '--lab', lab, '--results', results, '--json']);
  t.equal(done.exitCode, 0, done.stderr);
  t.match(JSON.parse(done.stdout), { outcome: 'holds' });
  const directory = join(results, 'latest');
  const files = await readdir(directory);
  for (const file of [
    'story.pcapng',
    'facts.json',
    'facts.txt',
    'verdict.json',
    'junit.xml',
    'plan.json',
    'recording.json',
    'interfaces',
  ]) {
    t.ok(files.includes(file), `${file} is there`);
  }
  t.match(await readFile(join(directory, 'junit.xml'), 'utf8'), /<testsuite[^>]* failures="0"/);
  const story = await runProgram([
    'tshark',
    '-r',
    join(directory, 'story.pcapng'),
    '-Y',
    'http2.headers.method == "CONNECT"',
    '-T',
    'fields',
    '-e',
    'http2.headers.authority',
  ]);
  t.match(story.stdout, /10\.244\.2\.\d+:8080/, 'tshark shows the CONNECT with no setting');
  t.notOk(
    (await readdir('/run')).includes('ambient-lab') &&
      (await readdir('/run/ambient-lab')).includes(lab),
    'no directory of the lab is left',
  );
});
