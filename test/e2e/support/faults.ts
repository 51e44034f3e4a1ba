import type { Test } from 'tap';
import { examine } from '../../../lab/diagnose/examine.ts';
import { ALL_FAULTS } from '../../../lab/faults/all-faults.ts';
import { breakLab, mendLab } from '../../../lab/faults/break-lab.ts';
import type { Lab } from '../../../lab/world/lab.ts';
import type { FaultName } from '../../../topologies/fault-names.ts';
import { changesBetween, kernelState } from './kernel-state.ts';
import { addressOf, execIn } from './lab.ts';

/** A fault in `topologies/faults/in-pod.yaml`, what a person sees of it, and what has to be found. */
export interface FaultCase {
  readonly fault: FaultName;
  readonly where: string;
  /** Tried by `npm test`, the others by `npm run test:long`. */
  readonly isQuick?: true;
  /** Where it is found, when that is not where it was made. */
  readonly foundAt?: string;
  /** What a person sees. */
  readonly symptom: (t: Test, lab: Lab) => Promise<void>;
  /** What the evidence has to hold. */
  readonly evidence: RegExp;
}

/** In `topologies/faults/node-level.yaml`. */
export const GENEVE_CASES: readonly FaultCase[] = [
  {
    fault: 'rp-filter-strict',
    where: 'node1',
    isQuick: true,
    symptom: async (t, lab) => {
      t.equal(await curl(lab, 'client', podUrl(lab, 'far')), 'curl 28', 'nothing comes back');
      t.equal(await curl(lab, 'bystander', podUrl(lab, 'far')), '200', 'others notice nothing');
    },
    evidence: /rp_filter = 1.*TcpExtIPReversePathFilter: [1-9]\d* packets/s,
  },
];

const PLAIN: FaultCase['symptom'] = async (t, lab) => {
  t.equal(await curl(lab, 'client', 'http://far.demo:8000/get'), '200', 'answered all the same');
  const refused = await curl(lab, 'client', 'http://strict.demo:8000/get');
  t.match(refused, /curl (52|56)/, 'who wants mTLS refuses it');
};

export const FAULT_CASES: readonly FaultCase[] = [
  {
    fault: 'rules-missing',
    where: 'demo/client',
    isQuick: true,
    symptom: PLAIN,
    evidence: /missing +(nat OUTPUT: -j ISTIO_OUTPUT|istio-ambient-nat output: jump istio-output)/,
  },
  {
    fault: 'rules-not-applied',
    where: 'demo/client',
    symptom: PLAIN,
    evidence: /ss .*:15001.*pid=/s,
  },
  {
    fault: 'ztunnel-not-told',
    where: 'demo/client',
    isQuick: true,
    symptom: async (t, lab) => {
      t.equal(await curl(lab, 'client', podUrl(lab, 'far')), 'curl 7', 'refused');
      t.equal(await curl(lab, 'client', 'http://far.demo:8000/get'), 'curl 6', 'no names');
    },
    evidence: /none is the pod's net:\[\d+\]/,
  },
  {
    fault: 'wrong-netns',
    where: 'demo/client',
    isQuick: true,
    symptom: async (t, lab) => {
      t.equal(await curl(lab, 'client', podUrl(lab, 'far')), 'curl 7', 'refused');
      const stranger = await curl(lab, 'bystander', podUrl(lab, 'strict'));
      t.equal(stranger, '200', 'a pod outside the mesh has an identity now');
    },
    evidence: /it holds net:\[\d+\], which is legacy\/bystander's/,
  },
  {
    fault: 'foreign-rule',
    where: 'demo/client',
    symptom: PLAIN,
    evidence: /nat OUTPUT 1: .*allow all outgoing TCP.*taken by [1-9]\d* packets/,
  },
  {
    fault: 'duplicated-rules',
    where: 'demo/client',
    symptom: async (t, lab) => {
      t.equal(await curl(lab, 'client', 'http://strict.demo:8000/get'), '200', 'no harm so far');
    },
    evidence: /too many +[\w-]+ [\w-]+: /,
  },
  {
    fault: 'policy-without-15008',
    where: 'demo/far',
    isQuick: true,
    symptom: async (t, lab) => {
      t.equal(await curl(lab, 'client', podUrl(lab, 'far')), 'curl 28', 'the mesh waits');
      t.equal(await curl(lab, 'bystander', podUrl(lab, 'far')), '200', 'others get in');
    },
    evidence: /:15008 with mark 0x539: no answer.*:8080: answered.*rule .*[1-9]\d* packets/s,
  },
  {
    fault: 'port-taken',
    where: 'demo/near',
    isQuick: true,
    symptom: async (t, lab) => {
      t.equal(await curl(lab, 'near', podUrl(lab, 'far')), 'curl 7', 'refused');
      t.match(await curl(lab, 'bystander', podUrl(lab, 'near')), /curl (7|28)/, 'and from others');
    },
    evidence: /"legacy-app",pid=.*Pending.*in use/s,
  },
  {
    fault: 'ztunnel-gone',
    where: 'node1',
    symptom: async (t, lab) => {
      t.equal(await curl(lab, 'client', podUrl(lab, 'far')), 'curl 7', 'refused');
      t.equal(await curl(lab, 'bystander', podUrl(lab, 'far')), '200', 'others notice nothing');
    },
    evidence: /ended: SIGKILL.*nobody listens/s,
  },
  {
    fault: 'agent-hung',
    where: 'node2',
    symptom: async (t, lab) => {
      t.equal(await curl(lab, 'client', podUrl(lab, 'strict')), '200', 'what runs goes on');
    },
    evidence: /no answer in \d+ ms.*state T \(stopped\)/s,
  },
  {
    fault: 'mtu-too-small',
    where: 'node2',
    foundAt: 'node1–node2',
    symptom: async (t, lab) => {
      t.equal(await curl(lab, 'bystander', podUrl(lab, 'plain')), '200', 'small ones pass');
      const large = podUrl(lab, 'plain', '/bytes/100000');
      t.equal(await curl(lab, 'bystander', large), 'curl 28', 'large ones hang');
    },
    evidence: /ping of 1500 bytes .*lost, no ICMP.*ping of 140\d bytes: answered; of 140\d: lost/s,
  },
  {
    fault: 'ipv6-off',
    where: 'demo/client',
    isQuick: true,
    symptom: async (t, lab) => {
      const url = 'http://far.demo:8000/get';
      t.equal(await curl(lab, 'client', url, '-6'), 'curl 7', 'not by IPv6');
      t.equal(await curl(lab, 'client', url, '-4'), '200', 'by IPv4');
    },
    evidence: /net\.ipv6\.conf\.all\.disable_ipv6 = 1.*address fd00/s,
  },
];

/**
 * Each fault is made, seen, found and mended in a running lab, and nothing else is found before, with
 * or after it. Those that the lab cannot have are refused.
 */
export async function tryFaults(t: Test, lab: Lab, cases: readonly FaultCase[]): Promise<void> {
  const control = lab.plan.pods.some(({ name }) => name === 'strict') ? 'strict' : 'far';
  t.equal(await curl(lab, 'client', podUrl(lab, control)), '200', 'control: a request, with mTLS');
  t.same(await findings(lab), [], 'nothing is found in a healthy lab');
  const healthy = await kernelState(lab);
  for (const each of cases) {
    if (ALL_FAULTS[each.fault].refusal(lab.plan) !== undefined) {
      await t.rejects(breakLab(lab, each.fault, each.where), { code: 'LAB_BAD_FAULT' });
      continue;
    }
    await t.test(`${each.fault} at ${each.where}`, async (t) => {
      await tryFault(t, lab, each, healthy);
      t.equal(await curl(lab, 'client', podUrl(lab, control)), '200', 'requests work');
    });
  }
}

async function tryFault(
  t: Test,
  lab: Lab,
  { fault, where, foundAt = where, symptom, evidence }: FaultCase,
  healthy: Awaited<ReturnType<typeof kernelState>>,
): Promise<void> {
  t.match(await breakLab(lab, fault, where), { fault, at: where });
  await symptom(t, lab);
  const { findings: found } = await examine(lab);
  const named = found.map(({ cause, at }) => ({ cause, at }));
  t.same(named, [{ cause: fault, at: foundAt }], 'exactly this is found');
  t.match(found[0]?.evidence.join('\n'), evidence, 'with what was read');
  await mendLab(lab, fault);
  t.same(await findings(lab), [], 'nothing is found when it is mended');
  t.same(changesBetween(healthy, await kernelState(lab)), [], 'the kernel has what it had');
}

async function findings(lab: Lab): Promise<readonly unknown[]> {
  return (await examine(lab)).findings;
}

function podUrl(lab: Lab, pod: string, path = '/get'): string {
  return `http://${addressOf(lab, pod)}:8080${path}`;
}

/** The status, or curl's exit code. */
export async function curl(
  lab: Lab,
  from: string,
  url: string,
  ...more: string[]
): Promise<string> {
  const argv = [
    'curl',
    '-sS',
    '-g',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '--max-time',
    '2',
    ...more,
    url,
  ];
  const done = await execIn(lab, from, argv);
  return done.exitCode === 0 ? done.stdout : `curl ${done.exitCode}`;
}
