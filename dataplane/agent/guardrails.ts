import type { SavedRules } from '../redirect/saved.ts';
import { renderSavedRule } from '../redirect/saved.ts';

/** Chains of table filter in the order in which Istio blocks them. */
const CHAINS = ['INPUT', 'FORWARD', 'OUTPUT'] as const;

/** What each chain begins with while guarded: UDP was put in last, so it stands first. */
const HEAD = ['-p udp -j DROP', '-p tcp -j DROP'] as const;

/**
 * Restore text that stops all TCP and UDP of a pod, so that nothing goes past ztunnel while its rules
 * are swapped (`cni/pkg/iptables`, order as there).
 */
export function addGuardrails(): string {
  const lines = CHAINS.flatMap((chain) => [
    `-I ${chain} 1 -p tcp -j DROP`,
    `-I ${chain} 1 -p udp -j DROP`,
  ]);
  return ['*filter', ...lines, 'COMMIT', ''].join('\n');
}

/** Restore text that takes one set of guardrails away; fails when there is none. */
export function removeGuardrails(): string {
  const lines = CHAINS.flatMap((chain) => [
    `-D ${chain} -p tcp -j DROP`,
    `-D ${chain} -p udp -j DROP`,
  ]);
  return ['*filter', ...lines, 'COMMIT', ''].join('\n');
}

/**
 * Whether guardrails stand: every chain of table filter begins with exactly the two rules. They are
 * left behind when an agent is killed between putting them up and taking them down.
 */
export function hasGuardrails(saved: SavedRules): boolean {
  const filter = saved.tables.find((table) => table.name === 'filter');
  if (filter === undefined) return false;
  return CHAINS.every((chain) => {
    const rules = filter.rules.filter((rule) => rule.chain === chain);
    return HEAD.every((text, index) => {
      const rule = rules[index];
      return rule !== undefined && renderSavedRule(rule) === `-A ${chain} ${text}`;
    });
  });
}
