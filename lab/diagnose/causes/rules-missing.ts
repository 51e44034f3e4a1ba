import type { Evidence, PodEvidence } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import {
  nameOf,
  nodeOf,
  rulesStateOf,
  stateOf,
  someOf,
  wishedPods,
  ztunnelListeners,
  type RulesState,
} from '../pod-facts.ts';

/** Enrolled pods whose kernel lacks some rules of the redirect, or all, and nodes that lack theirs. */
export function findRulesMissing(evidence: Evidence): readonly Finding[] {
  return [...inPods(evidence), ...onNodes(evidence)];
}

function onNodes({ nodes }: Evidence): readonly Finding[] {
  return nodes.flatMap(({ node, rules }): readonly Finding[] => {
    const { missing, present } = stateOf(rules);
    if (present === 'all') return [];
    return [
      {
        cause: 'rules-missing',
        at: node.name,
        text: `${missing.length} rules or routes that the era wants on the node are missing`,
        effect: 'Probes of the node meet ztunnel; in era geneve nothing of the node is redirected.',
        evidence: someOf(missing.map((line) => `missing   ${line}`)),
        mend: 'Restart the agent (istio-cni) of the node: it writes them when it starts.',
      },
    ];
  });
}

function inPods(evidence: Evidence): readonly Finding[] {
  return wishedPods(evidence).flatMap((pod): readonly Finding[] => {
    const state = rulesStateOf(pod);
    return state.present === 'all' ? [] : [findingOf(evidence, pod, state)];
  });
}

function findingOf(evidence: Evidence, pod: PodEvidence, state: RulesState): Finding {
  const at = nameOf(pod);
  const sockets = ztunnelListeners(pod, nodeOf(evidence, pod));
  const isNone = state.present === 'none';
  return {
    cause: isNone ? 'rules-not-applied' : 'rules-missing',
    at,
    text: isNone
      ? 'ztunnel serves the pod, but there is no rule of the redirect in its kernel'
      : `${state.missing.length} rules or routes of the redirect are missing in the pod's kernel`,
    effect:
      'What the rules would have caught travels in plain text, round ztunnel; others see no error.',
    evidence: [
      ...someOf(state.missing.map((line) => `missing   ${line}`)),
      ...sockets.map(({ line }) => `ss        ${line}`),
    ],
    mend:
      `Let the agent repair it: npm run lab -- enrol ${at}. In a cluster: restart istio-cni of the ` +
      'node (it reconciles at start since 1.29), or the pod.',
  };
}
