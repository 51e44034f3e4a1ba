import { isOurChain } from './constants.ts';
import type { Era } from './era.ts';
import { isBuiltInChain } from './render.ts';
import type { Family, FamilyRules, RoutingEntry, RuleSet } from './rule.ts';
import { SIDECAR_TPROXY } from './sidecar-constants.ts';
import type { SidecarOptions } from './sidecar-options.ts';
import { sidecarRules } from './sidecar-rules.ts';

/** The priority that the kernel gives to the first rule added without one. */
const FIRST_FREE_PRIORITY = 32765;

export interface SidecarRuleSetOptions extends SidecarOptions {
  /** Era of the lab around it; the sidecar's rules are the same in all. */
  readonly era: Era;
  readonly ipv6?: boolean;
}

/**
 * Everything istio-init leaves in the netns of an injected pod, each with its reason.
 * @throws {RedirectOptionsError}
 */
export function sidecarRuleSet({ era, ipv6, ...options }: SidecarRuleSetOptions): RuleSet {
  const families: readonly Family[] = ipv6 === true ? ['ipv4', 'ipv6'] : ['ipv4'];
  return {
    era,
    families: families.map((family) => withOwnedChains(sidecarRules(family, options))),
    routing: options.isTproxy ? families.flatMap(tproxyRouting) : [],
    sets: [],
  };
}

/**
 * In a pod nobody but istio-init has rules: built-in chains count as its own where it has rules in
 * them that lead to no chain of its own.
 */
function withOwnedChains(rules: FamilyRules): FamilyRules {
  const own = rules.rules.filter(
    ({ chain, target }) => isBuiltInChain(chain) && !isOurChain(target.name),
  );
  const chains = new Map(own.map(({ table, chain }) => [`${table} ${chain}`, { table, chain }]));
  return { ...rules, ownedChains: [...chains.values()] };
}

/** `ip rule add fwmark 1337 lookup 133`, `ip route add local default dev lo table 133`. */
function tproxyRouting(family: Family): readonly RoutingEntry[] {
  const { mark, table } = SIDECAR_TPROXY;
  return [
    {
      kind: 'fwmark-rule',
      family,
      mark,
      mask: 0xffffffff,
      priority: FIRST_FREE_PRIORITY,
      table,
      why: 'What TPROXY gave to Envoy, and what the app answers to a borrowed address, stays here.',
    },
    {
      kind: 'local-route',
      family,
      to: family === 'ipv4' ? '0.0.0.0/0' : '::/0',
      link: 'lo',
      table,
      why: 'Table 133 delivers everything to a socket of this pod: Envoy holds it.',
    },
  ];
}
