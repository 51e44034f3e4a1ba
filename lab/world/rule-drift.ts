import { closeNetns, createNetns } from '../../dataplane/kernel/netns.ts';
import type { Plan } from '../plan/plan.ts';
import { fdOf, startRules, type NetnsTable, type StartRules } from './build.ts';
import { LabError } from './errors.ts';
import { runCaptured } from './run-captured.ts';

const TIMEOUT_MS = 20_000;
const MAX_BYTES = 16 * 1024 * 1024;
/** Chains that the node agent adds to its node, and those of policies; they are not the plan's. */
const AGENT = /\bISTIO_|\bztunnel-|\bNP-/;

/**
 * Start-up rules of the running world that differ from the plan, one sentence each. The plan's text
 * is loaded into a namespace of its own and both are read back, so that only what the kernel holds
 * is compared, not spellings.
 *
 * @throws LabError LAB_BUILD_FAILED when rules cannot be loaded or read
 */
export async function findRuleDrift(plan: Plan, table: NetnsTable): Promise<string[]> {
  const faults = await Promise.all(
    startRules(plan).map(async ({ name, program, restore }) => {
      const [wished, seen] = await Promise.all([
        savedOf(program, restore),
        save(program, fdOf(table, name)),
      ]);
      return differences(
        wished,
        // The rules of a sidecar are the plan's own.
        seen.filter((line) => AGENT.test(restore) || !AGENT.test(line)),
      ).map((fault) => `${name}: ${fault}`);
    }),
  );
  return faults.flat();
}

/** What the kernel makes of a text for iptables-restore. */
async function savedOf(program: StartRules['program'], restore: string): Promise<string[]> {
  const scratch = createNetns();
  try {
    await run([program, '-w', '10'], scratch, restore);
    return await save(program, scratch);
  } finally {
    closeNetns(scratch);
  }
}

/** Rules with their tables in front: `nat -A POSTROUTING …`, in order. */
async function save(program: StartRules['program'], netnsFd: number): Promise<string[]> {
  const argv = [program.replace('restore', 'save')];
  const rules: string[] = [];
  let tableName = '';
  for (const line of (await run(argv, netnsFd)).split('\n')) {
    if (line.startsWith('*')) tableName = line.slice(1);
    if (line.startsWith('-A ')) rules.push(`${tableName} ${line}`);
  }
  return rules;
}

async function run(argv: readonly string[], netnsFd: number, input?: string): Promise<string> {
  const options = { netnsFd, input, timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES };
  const done = await runCaptured(argv, options);
  if (done.exitCode === 0) return done.stdout;
  const text = `Cannot run "${argv.join(' ')}": ${done.stderr.trim()}`;
  throw new LabError('LAB_BUILD_FAILED', text, { details: { ...done, argv } });
}

function differences(wished: readonly string[], seen: readonly string[]): string[] {
  const missing = wished.filter((rule) => !seen.includes(rule));
  const strange = seen.filter((rule) => !wished.includes(rule));
  const isMoved = missing.length + strange.length === 0 && wished.join() !== seen.join();
  return [
    ...missing.map((rule) => `rule ${rule} is missing`),
    ...strange.map((rule) => `rule ${rule} is not of the plan`),
    ...(isMoved ? ['rules are in another order'] : []),
  ];
}
