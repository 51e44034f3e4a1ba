import type { ObjectMeta } from './objects.ts';

/** `networking.k8s.io/v1` NetworkPolicy, as written; YAML's `null` stands for an absent field. */
export interface NetworkPolicy {
  readonly apiVersion: 'networking.k8s.io/v1';
  readonly kind: 'NetworkPolicy';
  readonly metadata: ObjectMeta;
  readonly spec: NetworkPolicySpec;
}

export interface NetworkPolicySpec {
  /** Pods of the policy's namespace that it isolates; `{}` is all of them. */
  readonly podSelector: LabelSelector;
  readonly policyTypes?: readonly PolicyType[] | null;
  readonly ingress?: readonly IngressRule[] | null;
  readonly egress?: readonly EgressRule[] | null;
}

export type PolicyType = 'Ingress' | 'Egress';

export interface IngressRule {
  readonly from?: readonly PolicyPeer[] | null;
  readonly ports?: readonly PolicyPort[] | null;
}

export interface EgressRule {
  readonly to?: readonly PolicyPeer[] | null;
  readonly ports?: readonly PolicyPort[] | null;
}

export interface PolicyPeer {
  readonly podSelector?: LabelSelector | null;
  readonly namespaceSelector?: LabelSelector | null;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] | null } | null;
}

export interface PolicyPort {
  readonly protocol?: 'TCP' | 'UDP';
  /** A number, or the name of a container port. */
  readonly port?: number | string;
  readonly endPort?: number;
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>> | null;
  readonly matchExpressions?: readonly LabelExpression[] | null;
}

export interface LabelExpression {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values?: readonly string[] | null;
}

/**
 * What a policy isolates: as written, else Ingress, and Egress too where it has rules for it
 * (`policyTypes` in `k8s.io/api/networking/v1`).
 */
export function policyTypesOf({ spec }: NetworkPolicy): readonly PolicyType[] {
  if (spec.policyTypes && spec.policyTypes.length > 0) return spec.policyTypes;
  return (spec.egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
}

/** Whether labels are what a selector wants; a selector without wishes wants everything. */
export function isSelected(
  selector: LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  const hasLabels = Object.entries(selector.matchLabels ?? {}).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  );
  return hasLabels && (selector.matchExpressions ?? []).every((each) => isMatched(each, labels));
}

function isMatched(
  { key, operator, values }: LabelExpression,
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'In':
      return value !== undefined && (values ?? []).includes(value);
    // Kubernetes takes a label that is not there for another value.
    case 'NotIn':
      return value === undefined || !(values ?? []).includes(value);
  }
}
