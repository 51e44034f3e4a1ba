import t from 'tap';
import type { ApplyOptions } from '../../dataplane/agent/apply-options.ts';
import { applyRules } from '../../dataplane/agent/apply-rules.ts';
import { upsertMembers, createSet, listMembers } from '../../dataplane/agent/address-set.ts';
import { programsOf, runProgram, type Programs } from '../../dataplane/agent/programs.ts';
import { RuleClones } from '../../dataplane/agent/rule-clones.ts';
import { splitTapped, tapEnvironment } from '../../dataplane/kernel/batch-tap.ts';
import { podRules } from '../../dataplane/redirect/pod-rules.ts';
import type { RuleSet } from '../../dataplane/redirect/rule.ts';
import { scratchNetns } from './support/scratch-netns.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

const PROGRAMS = programsOf('nft');
/** Programs that are not there: who starts one of them fails. */
const NONE: Programs = {
  iptablesRestore: '/nowhere/restore',
  iptablesSave: '/nowhere/save',
  ip6tablesRestore: '/nowhere/restore6',
  ip6tablesSave: '/nowhere/save6',
  ipset: '/nowhere/ipset',
  nft: '/nowhere/nft',
  backend: 'nft',
};
const ERAS = ['inpod-redirect', 'inpod-tproxy', 'inpod-nft'] as const;

function rulesOf(era: (typeof ERAS)[number], ipv6 = false): RuleSet {
  const probes = { probeAddress: '169.254.7.127', probeAddressIpv6: 'fd16:9254:7127:1337::1' };
  return podRules({ era, ipv6, ...probes, dnsCapture: true, bypassInbound: false });
}

const optionsOf = (netns: number, clones: RuleClones, programs = PROGRAMS): ApplyOptions => {
  return { netns, programs, guardrails: true, clones };
};

/** What the programs of the machine say is in a netns; comments and counters aside. */
async function textOf(netns: number): Promise<string> {
  const texts = await Promise.all([
    runProgram(['iptables-nft-save'], { netns }),
    runProgram(['ip6tables-nft-save'], { netns }),
    runProgram(['nft', '-s', 'list', 'ruleset'], { netns }),
    runProgram(['ip', 'rule'], { netns }),
    runProgram(['ip', 'route', 'show', 'table', 'all'], { netns }),
  ]);
  return texts.join('').replaceAll(/^#.*\n/gm, '');
}

t.setTimeout(120_000);

for (const era of ERAS) {
  for (const ipv6 of [false, true]) {
    const what = `${era}${ipv6 ? ' of two families' : ''}`;
    t.test(`RuleClones gives ${what} what the programs give it, and starts none`, async (t) => {
      const rules = rulesOf(era, ipv6);
      const clones = new RuleClones(applyRules);
      using byPrograms = scratchNetns();
      using first = scratchNetns();
      using second = scratchNetns();
      const direct = { netns: byPrograms.netns, programs: PROGRAMS, guardrails: true };
      t.equal(await applyRules(rules, direct), 'applied');
      t.equal(await applyRules(rules, optionsOf(first.netns, clones)), 'applied');
      t.equal(await applyRules(rules, optionsOf(second.netns, clones, NONE)), 'applied');
      const wanted = await textOf(byPrograms.netns);
      t.match(wanted, era === 'inpod-nft' ? /istio-ambient/ : /ISTIO_PRERT/, 'the control');
      t.equal(await textOf(first.netns), wanted);
      t.equal(await textOf(second.netns), wanted, 'without any program');
      t.equal(await applyRules(rules, direct), 'unchanged');
    });
  }
}

t.test('RuleClones leaves a netns that has rules to the programs', async (t) => {
  const rules = rulesOf('inpod-redirect');
  const clones = new RuleClones(applyRules);
  using fresh = scratchNetns();
  t.equal(await clones.clone(rules, optionsOf(fresh.netns, clones)), true, 'the control');
  t.equal(await clones.clone(rules, optionsOf(fresh.netns, clones)), false, 'ours are there');
  for (const argv of [
    ['iptables-nft', '-A', 'OUTPUT', '-p', 'tcp', '-j', 'ACCEPT'],
    ['iptables-legacy', '-A', 'OUTPUT', '-p', 'tcp', '-j', 'ACCEPT'],
    ['nft', 'add', 'table', 'inet', 'foreign'],
  ] as const) {
    using used = scratchNetns();
    await runProgram(argv, { netns: used.netns });
    t.equal(await clones.clone(rules, optionsOf(used.netns, clones)), false, argv.join(' '));
    await t.rejects(applyRules(rules, optionsOf(used.netns, clones, NONE)), {
      code: 'DATAPLANE_AGENT_PROGRAM',
    });
    t.equal(await applyRules(rules, optionsOf(used.netns, clones)), 'applied');
  }
});

t.test('RuleClones says no when what it put in is not what is there then', async (t) => {
  const rules = rulesOf('inpod-redirect');
  // Somebody who puts in one rule more, unseen by the tap.
  const clones = new RuleClones(async (set, options) => {
    await applyRules(set, options);
    const { netns } = options;
    await runProgram(['iptables-nft', '-A', 'FORWARD', '-j', 'ACCEPT'], { netns });
  });
  using one = scratchNetns();
  t.equal(await clones.clone(rules, optionsOf(one.netns, clones)), false);
  const result = await applyRules(rules, optionsOf(one.netns, clones));
  t.equal(result, 'repaired', 'the programs find rules that are right, and routing that is not');
});

t.test('RuleClones clones nothing of legacy iptables, whose programs do it', async (t) => {
  const rules = rulesOf('inpod-redirect');
  const clones = new RuleClones(applyRules);
  const programs = programsOf('legacy');
  using one = scratchNetns();
  t.equal(await clones.clone(rules, optionsOf(one.netns, clones, programs)), false);
  t.equal(await applyRules(rules, optionsOf(one.netns, clones, programs)), 'applied');
  t.match(await runProgram(['iptables-legacy-save'], { netns: one.netns }), /ISTIO_PRERT/);
});

t.test(
  'tapEnvironment() shows what a program tells nf_tables, and nothing of others',
  async (t) => {
    t.ok(tapEnvironment({}), 'the shim is built');
    using one = scratchNetns();
    const { netns } = one;
    const batches: Buffer[] = [];
    const tap = (batch: Buffer): void => void batches.push(batch);
    await runProgram(['nft', 'list', 'ruleset'], { netns, tap });
    t.equal(batches.length, 0, 'a listing changes nothing');
    await runProgram(['nft', 'add', 'table', 'inet', 'x'], { netns, tap });
    t.equal(batches.length, 1);
    t.equal(batches[0]?.readUInt16LE(4), 0x10, 'NFNL_MSG_BATCH_BEGIN');
    t.same(splitTapped(Buffer.from([4, 0, 0, 0, 1, 2])), [], 'what was cut off is none');
  },
);

t.test('upsertMembers() puts into an ipset what the program says it has', async (t) => {
  using node = scratchNetns();
  for (const [family, address] of [
    ['ipv4', '10.0.0.1'],
    ['ipv6', 'fd00::1'],
  ] as const) {
    const set = { name: `set-${family}`, family, why: 'a test' } as const;
    await createSet({ netns: node.netns }, set);
    const place = { netns: node.netns, programs: NONE };
    await upsertMembers(place, set, [{ address, uid: 'uid-1' }]);
    await upsertMembers(place, set, [{ address, uid: 'uid-2' }]);
    t.same(await listMembers({ netns: node.netns }, set), [{ address, uid: 'uid-2' }]);
    const absent = { name: 'absent', family, why: 'a test' } as const;
    await t.rejects(upsertMembers(place, absent, [{ address, uid: 'uid' }]), {
      code: 'DATAPLANE_AGENT_PROGRAM',
    });
  }
});
