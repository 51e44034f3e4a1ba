import { findDrift, ourChains } from '../redirect/diff.ts';
import { renderRestore } from '../redirect/render.ts';
import type { Family, FamilyRules, RuleSet } from '../redirect/rule.ts';
import type { SavedRules } from '../redirect/saved.ts';
import { applyNft, removeNft } from './apply-nft.ts';
import type { ApplyOptions, ApplyResult } from './apply-options.ts';
import { deleteRulesText } from './delete-rules.ts';
import { RulesMismatchError } from './errors.ts';
import { addGuardrails, hasGuardrails, removeGuardrails } from './guardrails.ts';
import { removeLeftovers } from './leftovers.ts';
import { ensureRouting, removeRouting } from './policy-routing.ts';
import { readRules, restoreRules } from './rules-in-netns.ts';

const NO_RULES: SavedRules = { tables: [], comments: [] };

/**
 * Makes a netns have exactly these rules and routes of ours (rules of others stay), and reads them
 * back. Nothing is touched when all is well. Wrong leftovers are replaced under guardrails, in the
 * order of Istio's CNI (`cni/pkg/iptables`: guardrails, delete, apply, guardrails away).
 * @throws {ProgramError} when iptables refuses
 * @throws {RulesMismatchError} {@link RoutingMismatchError} when the kernel has something else then
 */
export async function applyRules(rules: RuleSet, options: ApplyOptions): Promise<ApplyResult> {
  const isCloned = (await options.clones?.clone(rules, options)) === true;
  const results = isCloned ? ['applied'] : await applyByPrograms(rules, options);
  if (isCloned) {
    const families = rules.nft === undefined ? rules.families.map((one) => one.family) : ['inet'];
    for (const family of families) await options.observe?.('applied', family as Family | 'inet');
  }
  const isRouted = ensureRouting(options.netns, rules.routing);
  if (isRouted) await options.observe?.('routing-added', 'ipv4');
  if (results.includes('repaired')) return 'repaired';
  if (results.includes('applied')) return 'applied';
  return isRouted ? 'repaired' : 'unchanged';
}

async function applyByPrograms(rules: RuleSet, options: ApplyOptions): Promise<ApplyResult[]> {
  const results: ApplyResult[] = [];
  if (rules.nft !== undefined) results.push(await applyNft(rules.nft, options));
  for (const family of rules.families) results.push(await applyFamily(family, options));
  if (await dropLeftovers(rules, options)) results.push('repaired');
  return results;
}

/**
 * Takes everything of ours out of a netns, whatever state it is in: chains with our prefix in every
 * table, jumps to them, guardrails left behind, policy routing. Twice is as good as once.
 * @returns whether anything was there
 * @throws {ProgramError} when iptables refuses
 * @throws {RulesMismatchError} when a chain of ours is there afterwards
 */
export async function removeRules(
  rules: RuleSet,
  options: Omit<ApplyOptions, 'guardrails'>,
): Promise<boolean> {
  let isChanged = rules.nft !== undefined && (await removeNft(options));
  for (const { family } of rules.families) {
    const saved = await readRules(options, family);
    isChanged = (await deleteFamily(saved, family, options)) || isChanged;
  }
  isChanged = (await dropLeftovers(rules, options)) || isChanged;
  const wasRouted = removeRouting(options.netns, rules.routing);
  if (wasRouted) await options.observe?.('routing-removed', 'ipv4');
  return isChanged || wasRouted;
}

/** What other eras and backends left goes after our rules have come: no packet finds a gap. */
async function dropLeftovers(
  rules: RuleSet,
  options: Omit<ApplyOptions, 'guardrails'>,
): Promise<boolean> {
  const backend = options.programs?.backend;
  if (rules.nft === undefined && backend === undefined) return false;
  const own = rules.nft === undefined ? (`iptables-${backend ?? 'nft'}` as const) : 'nftables';
  const wasThere = await removeLeftovers(own, options);
  if (wasThere) await options.observe?.('leftovers-removed', 'inet');
  return wasThere;
}

async function applyFamily(wanted: FamilyRules, options: ApplyOptions): Promise<ApplyResult> {
  const { family } = wanted;
  const saved = options.isFresh ? NO_RULES : await readRules(options, family);
  const drift = findDrift(wanted, saved);
  const isGuarded = options.guardrails && hasGuardrails(saved);
  if (drift.isClean) {
    if (!isGuarded) return 'unchanged';
    await guardrailsDown(options, family);
    return 'repaired';
  }
  if (drift.hasResidue) await replace(wanted, saved, options, isGuarded);
  else {
    await restoreRules(options, family, renderRestore(wanted));
    await options.observe?.('applied', family);
    if (isGuarded) await guardrailsDown(options, family);
  }
  const left = findDrift(wanted, await readRules(options, family));
  if (!left.isClean) throw new RulesMismatchError(family, left);
  return drift.hasResidue ? 'repaired' : 'applied';
}

async function replace(
  wanted: FamilyRules,
  saved: SavedRules,
  options: ApplyOptions,
  isGuarded: boolean,
): Promise<void> {
  const { family } = wanted;
  if (options.guardrails && !isGuarded) {
    await restoreRules(options, family, addGuardrails());
    await options.observe?.('guardrails-up', family);
  }
  try {
    await restoreRules(options, family, deleteRulesText(saved));
    await options.observe?.('deleted', family);
    await restoreRules(options, family, renderRestore(wanted));
    await options.observe?.('applied', family);
  } catch (error) {
    // A pod whose rules cannot be had is out of the mesh, not out of the network. Should this fail
    // too, the first error is the one to tell; the next look at the pod finds the guardrails.
    if (options.guardrails) await guardrailsDown(options, family).catch(() => {});
    throw error;
  }
  if (options.guardrails) await guardrailsDown(options, family);
}

async function guardrailsDown(options: ApplyOptions, family: Family): Promise<void> {
  await restoreRules(options, family, removeGuardrails());
  await options.observe?.('guardrails-down', family);
}

async function deleteFamily(
  saved: SavedRules,
  family: Family,
  options: Omit<ApplyOptions, 'guardrails'>,
): Promise<boolean> {
  const isGuarded = hasGuardrails(saved);
  const hasChains = ourChains(saved).length > 0;
  if (hasChains) {
    await restoreRules(options, family, deleteRulesText(saved));
    await options.observe?.('deleted', family);
    const left = await readRules(options, family);
    if (ourChains(left).length > 0) {
      throw new RulesMismatchError(family, findDrift({ family, rules: [] }, left));
    }
  }
  if (isGuarded) await restoreRules(options, family, removeGuardrails());
  return hasChains || isGuarded;
}
