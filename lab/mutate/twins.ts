import type { MutationResult } from './run-mutations.ts';

/**
 * Says of a mutation that nothing was seen of where another place broke by the same: which of two
 * nodes needs a thing follows from where clients and servers of the probes are.
 */
export function explainByTwins(results: readonly MutationResult[]): readonly MutationResult[] {
  const byKey = new Map<string, MutationResult[]>();
  for (const result of results) {
    const key = ruleKey(result);
    byKey.set(key, [...(byKey.get(key) ?? []), result]);
  }
  return results.map((result) => {
    if (result.breaks.length > 0 || result.reason !== undefined) return result;
    const broken = (byKey.get(ruleKey(result)) ?? []).filter(({ breaks }) => breaks.length > 0);
    const places = [...new Set(broken.flatMap((twin) => twin.places))].join(', ');
    if (places === '') return result;
    return { ...result, reason: `No probe has need of it here; in ${places} it shows.` };
  });
}

/**
 * One for the same rule and change in all places: addresses and nodes are others there. An entry of a
 * set and a pod's route are nothing but their address.
 */
export function ruleKey({ kind, text, where, change }: MutationResult): string {
  const key = `${kind} ${where} ${text} ${change}`;
  const isOfPod = kind === 'address-set' || text.includes(' dev istioin src ');
  return isOfPod ? key : key.replaceAll(/10\.\d+\.\d+\.\d+|node\d+/g, '*');
}
