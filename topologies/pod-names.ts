import { nearest } from './nearest.ts';

/** A pod as people refer to it. */
export interface NamedPod {
  readonly namespace: string;
  readonly name: string;
  /** Its Deployment's name, or its own. */
  readonly workloadName: string;
}

export type PodLookup<T> =
  | { readonly kind: 'found'; readonly pod: T }
  | { readonly kind: 'ambiguous'; readonly names: readonly string[] }
  | { readonly kind: 'unknown'; readonly suggestion?: string };

/**
 * The pod meant by `sleep`, `demo/sleep` or `sleep.demo`: by its own name, else by its workload's
 * when that has one pod. Names that fit several pods are ambiguous; nothing is guessed.
 */
export function lookUpPod<T extends NamedPod>(pods: readonly T[], word: string): PodLookup<T> {
  for (const key of ['name', 'workloadName'] as const) {
    const found = pods.filter(
      (pod) =>
        word === pod[key] ||
        word === `${pod.namespace}/${pod[key]}` ||
        word === `${pod[key]}.${pod.namespace}`,
    );
    if (found.length === 1) return { kind: 'found', pod: found[0]! };
    if (found.length > 1) {
      return { kind: 'ambiguous', names: found.map((pod) => `${pod.namespace}/${pod.name}`) };
    }
  }
  const forms = pods.flatMap((pod) => {
    if (word.includes('/')) return [`${pod.namespace}/${pod.name}`];
    const short = [pod.workloadName, pod.name];
    return word.includes('.') ? [`${pod.name}.${pod.namespace}`, ...short] : short;
  });
  const suggestion = nearest(word, new Set(forms));
  return suggestion === undefined ? { kind: 'unknown' } : { kind: 'unknown', suggestion };
}
