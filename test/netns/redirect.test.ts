import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { applyRules, removeRules } from '../../dataplane/agent/apply-rules.ts';
import type { ApplyOptions, ApplyStep } from '../../dataplane/agent/apply-options.ts';
import { createSet } from '../../dataplane/agent/address-set.ts';
import { addGuardrails, hasGuardrails } from '../../dataplane/agent/guardrails.ts';
import { DEFAULT_PROGRAMS, runProgram } from '../../dataplane/agent/programs.ts';
import type { Programs } from '../../dataplane/agent/programs.ts';
import { readRules, restoreRules } from '../../dataplane/agent/rules-in-netns.ts';
import { crossCheck } from '../../dataplane/redirect/cross-check.ts';
import { diffRules, placedRules, placedSaved } from '../../dataplane/redirect/diff.ts';
import { hostRules } from '../../dataplane/redirect/host-rules.ts';
import { parseSave } from '../../dataplane/redirect/parse-save.ts';
import { podRules } from '../../dataplane/redirect/pod-rules.ts';
import type { PodRulesOptions } from '../../dataplane/redirect/pod-rules.ts';
import type { Family, RuleSet } from '../../dataplane/redirect/rule.ts';
import { renderSaved } from '../../dataplane/redirect/saved.ts';
import { inside, scratchNetns } from './support/scratch-netns.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

const fixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/redirect/${name}`, import.meta.url), 'utf8');

const LEGACY: Programs = {
  ...DEFAULT_PROGRAMS,
  iptablesRestore: 'iptables-legacy-restore',
  iptablesSave: 'iptables-legacy-save',
  ip6tablesRestore: 'ip6tables-legacy-restore',
  ip6tablesSave: 'ip6tables-legacy-save',
};
const hasLegacy = existsSync('/usr/sbin/iptables-legacy-restore');

const BACKENDS: readonly { name: string; programs: Programs; skip: boolean }[] = [
  { name: 'iptables on PATH', programs: DEFAULT_PROGRAMS, skip: false },
  { name: 'iptables-legacy', programs: LEGACY, skip: !hasLegacy },
];

/** What iptables-save says, without the lines that tell the time. */
async function saved(netns: number, programs: Programs, family: Family = 'ipv4'): Promise<string> {
  const program = family === 'ipv4' ? programs.iptablesSave : programs.ip6tablesSave;
  const text = await runProgram([program], { netns });
  t.equal(renderSaved(parseSave(text)), text, 'parseSave() loses nothing of it');
  t.same(crossCheck(text), [], 'iptables-parser reads the same');
  return text.replaceAll(/^#.*\n/gm, '');
}

function rulesFor(options: Partial<PodRulesOptions> = {}): RuleSet {
  return podRules({ era: 'inpod-redirect', dnsCapture: true, ...options });
}

function inPod(netns: number, programs: Programs, steps: ApplyStep[] = []): ApplyOptions {
  return { netns, programs, guardrails: true, observe: (step) => void steps.push(step) };
}

for (const { name, programs, skip } of BACKENDS) {
  const run = (title: string, body: (t: Test) => Promise<void>) =>
    t.test(`${title} (${name})`, { skip: skip ? `${name} is not installed` : false }, body);

  run('applyRules() gives the kernel what the goldens give it', async (t) => {
    const cases: readonly [string, Partial<PodRulesOptions>][] = [
      ['default.txt', {}],
      ['dns-pod-disabled-and-on-globally.txt', { dnsCapture: false }],
      ['ingress.txt', { dnsCapture: false, bypassInbound: true }],
      [
        'virtual-interfaces.txt',
        { dnsCapture: false, virtualInterfaces: ['fake1s0f0', 'fake1s0f1'] },
      ],
    ];
    const texts = new Set<string>();
    for (const [file, options] of cases) {
      using theirs = scratchNetns();
      using ours = scratchNetns();
      await restoreRules({ netns: theirs.netns, programs }, 'ipv4', fixture(file));
      t.equal(await applyRules(rulesFor(options), inPod(ours.netns, programs)), 'applied', file);
      const text = await saved(ours.netns, programs);
      t.equal(text, await saved(theirs.netns, programs), file);
      texts.add(text);
    }
    t.equal(texts.size, cases.length, 'and four sets are four texts');
  });

  run('applyRules() gives the kernel what the commands of 1.21 give it', async (t) => {
    using theirs = scratchNetns();
    using ours = scratchNetns();
    const tool = programs === LEGACY ? 'iptables-legacy' : 'iptables';
    for (const line of fixture('inpod-1.21.txt').trimEnd().split('\n')) {
      inside(theirs.netns, line.replace(/^iptables/, tool));
    }
    const rules = podRules({ era: 'inpod-tproxy', dnsCapture: true });
    await applyRules(rules, inPod(ours.netns, programs));
    t.equal(await saved(ours.netns, programs), await saved(theirs.netns, programs));
    using silent = scratchNetns();
    const withoutDns = podRules({ era: 'inpod-tproxy', dnsCapture: false });
    await applyRules(withoutDns, inPod(silent.netns, programs));
    const before = (await saved(ours.netns, programs)).split('\n');
    const after = (await saved(silent.netns, programs)).split('\n');
    const gone = before.filter((line) => !after.includes(line));
    t.same(gone, ['-A ISTIO_OUTPUT ! -o lo -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053']);
  });

  run('applyRules() does IPv6 as it does IPv4', async (t) => {
    for (const era of ['inpod-redirect', 'inpod-tproxy'] as const) {
      using pod = scratchNetns();
      const rules = podRules({ era, dnsCapture: true, ipv6: true });
      t.equal(await applyRules(rules, inPod(pod.netns, programs)), 'applied');
      t.equal(await applyRules(rules, inPod(pod.netns, programs)), 'unchanged');
      const ipv4 = await saved(pod.netns, programs);
      const asIpv6 = ipv4
        .replaceAll('127.0.0.1/32', '::1/128')
        .replaceAll('169.254.7.127/32', 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128')
        .replaceAll('--on-ip 0.0.0.0', '--on-ip ::');
      t.equal(await saved(pod.netns, programs, 'ipv6'), asIpv6);
      t.match(
        inside(pod.netns, 'ip -6 rule show'),
        /^32764:\s+from all fwmark 0x111\/0xfff lookup 100$/m,
      );
      t.match(inside(pod.netns, 'ip -6 route show table 100'), /^local default dev lo/m);
      await removeRules(rules, inPod(pod.netns, programs));
      t.notMatch(await saved(pod.netns, programs, 'ipv6'), /ISTIO/);
      t.notMatch(inside(pod.netns, 'ip -6 rule show'), /0x111/);
    }
  });

  run('applyRules() twice is once; remove and apply leave no difference', async (t) => {
    using pod = scratchNetns();
    const rules = rulesFor();
    const routing = (): string =>
      inside(pod.netns, 'ip rule show') + inside(pod.netns, 'ip route show table all');
    const empty = routing();
    const steps: ApplyStep[] = [];
    t.equal(await applyRules(rules, inPod(pod.netns, programs, steps)), 'applied');
    t.same(steps, ['applied', 'routing-added']);
    const first = await saved(pod.netns, programs);
    const firstRouting = routing();
    t.match(firstRouting, /^32764:\s+from all fwmark 0x111\/0xfff lookup 100$/m);
    t.match(firstRouting, /^local default dev lo table 100 /m);

    steps.length = 0;
    t.equal(await applyRules(rules, inPod(pod.netns, programs, steps)), 'unchanged');
    t.same(steps, []);
    t.equal(await saved(pod.netns, programs), first);
    t.equal(routing(), firstRouting);

    const raw = fixture('default.txt');
    const place = { netns: pod.netns, programs };
    await t.rejects(restoreRules(place, 'ipv4', raw), {
      code: 'DATAPLANE_AGENT_PROGRAM',
      stderr: /line 2 failed/,
    });
    t.equal(await saved(pod.netns, programs), first, 'a refused restore changes nothing');

    t.equal(await removeRules(rules, place), true);
    t.notMatch(await saved(pod.netns, programs), /ISTIO|DROP/);
    t.equal(routing(), empty);
    t.equal(await removeRules(rules, place), false, 'nothing left to remove');

    t.equal(await applyRules(rules, inPod(pod.netns, programs)), 'applied');
    t.equal(await saved(pod.netns, programs), first);
    t.equal(routing(), firstRouting);
  });

  run('applyRules() repairs every rule that somebody deleted, under guardrails', async (t) => {
    using pod = scratchNetns();
    const rules = rulesFor();
    const options = inPod(pod.netns, programs);
    await applyRules(rules, options);
    const first = await saved(pod.netns, programs);
    const tool = programs === LEGACY ? 'iptables-legacy' : 'iptables';
    let table = '';
    for (const line of first.split('\n')) {
      if (line.startsWith('*')) table = line.slice(1);
      if (!line.startsWith('-A')) continue;
      inside(pod.netns, `${tool} -t ${table} ${line.replace('-A', '-D')}`);
      const steps: ApplyStep[] = [];
      const guarded: boolean[] = [];
      const observe = async (step: ApplyStep): Promise<void> => {
        steps.push(step);
        guarded.push(hasGuardrails(await readRules(options, 'ipv4')));
      };
      t.equal(await applyRules(rules, { ...options, observe }), 'repaired', `without ${line}`);
      t.same(steps, ['guardrails-up', 'deleted', 'applied', 'guardrails-down']);
      t.same(guarded, [true, true, true, false], 'the pod is blocked until all rules are back');
      t.same(placed(await saved(pod.netns, programs)), placed(first));
    }
  });

  run('applyRules() takes away guardrails that a killed agent left', async (t) => {
    using pod = scratchNetns();
    const options = inPod(pod.netns, programs);
    await applyRules(rulesFor(), options);
    await restoreRules(options, 'ipv4', addGuardrails());
    t.equal(hasGuardrails(await readRules(options, 'ipv4')), true);
    t.equal(await applyRules(rulesFor(), options), 'repaired');
    t.notMatch(await saved(pod.netns, programs), /DROP/);
    await restoreRules(options, 'ipv4', addGuardrails());
    await removeRules(rulesFor(), options);
    t.notMatch(await saved(pod.netns, programs), /DROP|ISTIO/);
  });

  run('applyRules() changes one rule set into another and leaves rules of others', async (t) => {
    using pod = scratchNetns();
    const options = inPod(pod.netns, programs);
    const foreign =
      '*nat\n:CNI-X - [0:0]\n-A OUTPUT -j CNI-X\n-A CNI-X -p tcp -m comment --comment "a b" -j RETURN\nCOMMIT\n';
    await restoreRules(options, 'ipv4', foreign);
    const before = placed(await saved(pod.netns, programs));
    await applyRules(rulesFor(), options);
    t.equal(await applyRules(rulesFor({ dnsCapture: false }), options), 'repaired');
    t.notMatch(await saved(pod.netns, programs), /15053|--zone/);
    t.equal(
      await applyRules(podRules({ era: 'inpod-tproxy', dnsCapture: false }), options),
      'repaired',
    );
    t.match(await saved(pod.netns, programs), /TPROXY/);
    await removeRules(rulesFor(), options);
    t.same(placed(await saved(pod.netns, programs)), before);
  });

  run('applyRules() gives the node what the golden gives it, without guardrails', async (t) => {
    using theirs = scratchNetns();
    using ours = scratchNetns();
    const rules = hostRules({ era: 'inpod-redirect', ipv6: true });
    for (const set of rules.sets) {
      await createSet({ netns: theirs.netns }, set);
      await createSet({ netns: ours.netns }, set);
    }
    await restoreRules({ netns: theirs.netns, programs }, 'ipv4', fixture('hostprobe.txt'));
    const steps: ApplyStep[] = [];
    const options = { ...inPod(ours.netns, programs, steps), guardrails: false };
    t.equal(await applyRules(rules, options), 'applied');
    t.equal(await applyRules(rules, options), 'unchanged');
    t.equal(await saved(ours.netns, programs), await saved(theirs.netns, programs));
    const ipv6 = await saved(ours.netns, programs, 'ipv6');
    t.match(ipv6, /--socket-exists -m set --match-set istio-inpod-probes-v6 dst -j SNAT/);
    const tool = programs === LEGACY ? 'iptables-legacy' : 'iptables';
    inside(ours.netns, `${tool} -t nat -F ISTIO_POSTRT`);
    steps.length = 0;
    t.equal(await applyRules(rules, options), 'repaired');
    t.same(steps, ['deleted', 'applied']);
  });
}

t.test('applyRules() repairs policy routing', async (t) => {
  using pod = scratchNetns();
  const options = inPod(pod.netns, DEFAULT_PROGRAMS);
  const rules = rulesFor();
  await applyRules(rules, options);
  const commands = ['ip rule del pref 32764', 'ip route del local default dev lo table 100'];
  for (const command of commands) {
    inside(pod.netns, command);
    const steps: ApplyStep[] = [];
    t.equal(await applyRules(rules, inPod(pod.netns, DEFAULT_PROGRAMS, steps)), 'repaired');
    t.same(steps, ['routing-added']);
  }
  inside(pod.netns, 'ip rule add fwmark 0x111/0xfff pref 32000 lookup 100');
  await removeRules(rules, options);
  t.match(
    inside(pod.netns, 'ip rule show'),
    /^32000:/m,
    'a rule that only looks alike is not ours',
  );
});

t.test('applyRules() leaves IPv6 routing out where loopback has no IPv6', async (t) => {
  using pod = scratchNetns();
  inside(pod.netns, 'sysctl -qw net.ipv6.conf.lo.disable_ipv6=1');
  const rules = rulesFor({ ipv6: true });
  t.equal(await applyRules(rules, inPod(pod.netns, DEFAULT_PROGRAMS)), 'applied');
  t.notMatch(inside(pod.netns, 'ip -6 rule show'), /0x111/);
  t.match(inside(pod.netns, 'ip -4 rule show'), /0x111/);
  t.equal(await removeRules(rules, inPod(pod.netns, DEFAULT_PROGRAMS)), true);
});

t.test('placedRules() is what iptables-save says, for every set', async (t) => {
  const sets = [
    rulesFor({ ipv6: true }),
    rulesFor({ dnsCapture: false, bypassInbound: true, virtualInterfaces: ['tap0'] }),
    podRules({ era: 'inpod-tproxy', dnsCapture: true, ipv6: true }),
    podRules({ era: 'inpod-tproxy', dnsCapture: true, tproxyRelease: '1.24' }),
  ];
  for (const rules of sets) {
    using pod = scratchNetns();
    await applyRules(rules, inPod(pod.netns, DEFAULT_PROGRAMS));
    for (const family of rules.families) {
      const text = await saved(pod.netns, DEFAULT_PROGRAMS, family.family);
      const kernel = placedSaved(parseSave(text), family.family);
      t.same(diffRules(placedRules(family), kernel), { missing: [], extra: [], reordered: [] });
      const lines = new Set(text.split('\n'));
      for (const { chain, text: normal } of placedRules(family)) {
        t.ok(lines.has(`-A ${chain} ${normal}`), normal);
      }
    }
  }
});

function placed(text: string): readonly unknown[] {
  return placedSaved(parseSave(text), 'ipv4');
}
