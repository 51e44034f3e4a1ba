import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseListener } from '../../lab/diagnose/pod-readings.ts';
import { ALL_FAULTS } from '../../lab/faults/all-faults.ts';
import { checkFindings } from '../../lab/judge/check-findings.ts';
import type { Path, RunFacts } from '../../lab/facts/facts.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { FAULT_NAMES, FAULT_PLACES } from '../../topologies/fault-names.ts';
import { loadTopology } from '../../topologies/load.ts';

const ROOT = join(import.meta.dirname, '..', '..');

t.test('ALL_FAULTS has one file each, by the names and places that topologies use', async (t) => {
  for (const name of FAULT_NAMES) {
    t.equal(ALL_FAULTS[name].name, name);
    t.equal(
      ALL_FAULTS[name].kind,
      FAULT_PLACES[name],
      `${name} is made at a ${FAULT_PLACES[name]}`,
    );
    t.ok(readFileSync(join(ROOT, 'lab', 'faults', `${name}.ts`), 'utf8').includes(`'${name}'`));
  }
  t.same(Object.keys(ALL_FAULTS).toSorted(), [...FAULT_NAMES].toSorted());
});

t.test('diagnose() cannot know what was broken: it imports nothing of lab/faults', async (t) => {
  const folder = join(ROOT, 'lab', 'diagnose');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((file) => file.endsWith('.ts'));
  t.ok(sources.length > 15, 'sources were found at all');
  for (const file of sources) {
    const text = readFileSync(join(folder, file), 'utf8');
    t.notMatch(text, /from '[^']*\/faults\//, `${file} does not`);
    t.notMatch(text, /FaultJournal|brokenIn/, `${file} reads no journal`);
  }
});

t.test('refusal() says why an era or a lab cannot have a fault', async (t) => {
  const topology = loadTopology(join(ROOT, 'topologies', 'two-nodes.yaml'));
  const refusedIn = (era: string) => {
    const plan = planLab(topology, { era });
    return FAULT_NAMES.filter((name) => ALL_FAULTS[name].refusal(plan) !== undefined);
  };
  t.same(refusedIn('inpod-redirect'), ['ipv6-off', 'rp-filter-strict']);
  t.same(refusedIn('inpod-nft'), ['foreign-rule', 'ipv6-off', 'rp-filter-strict']);
  const possible = FAULT_NAMES.filter((name) => !refusedIn('geneve').includes(name));
  t.same(possible, ['ztunnel-gone', 'agent-hung', 'mtu-too-small', 'rp-filter-strict']);
});

t.test('parseListener() reads lines of ss, and nothing else', async (t) => {
  const line =
    'LISTEN 0 128 [::1]:15053 [::]:* users:(("node",pid=26,fd=46)) ino:2 sk:1 fwmark:0x539';
  t.same(parseListener(line), {
    address: '[::1]',
    port: 15053,
    program: 'node',
    pid: 26,
    line: 'LISTEN 0 128 [::1]:15053 [::]:* users:(("node",pid=26,fd=46)) fwmark:0x539',
  });
  t.match(parseListener('LISTEN 0 5 *:15008 *:*'), { address: '*', port: 15008 });
  for (const other of ['', 'ESTAB 0 0 1.2.3.4:1 1.2.3.4:2', 'LISTEN', 'LISTEN 0 5 x y']) {
    t.equal(parseListener(other), undefined, other);
  }
});

t.test('checkFindings() compares all that was found, in any order', async (t) => {
  const one = { cause: 'ipv6-off', at: 'demo/a' } as const;
  const two = { cause: 'agent-hung', at: 'node1' } as const;
  const check = (findings: Path['request']['findings'], wanted: (typeof one | typeof two)[]) =>
    checkFindings({} as RunFacts, { request: { findings } } as Path, wanted).outcome;
  t.equal(check([one, two], [two, one]), 'holds');
  t.equal(check([], []), 'holds');
  t.equal(check([one, two], [one]), 'refuted', 'one more than wanted');
  t.equal(check([], [one]), 'refuted', 'one less');
  t.equal(check(undefined, []), 'could not run', 'nobody looked');
});
