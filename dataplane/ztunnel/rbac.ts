import { type Cidr, cidrContains, type Endpoint } from './address.ts';
import type { Spiffe } from '../identity/spiffe.ts';
import {
  type Policy,
  policyKey,
  type RbacMatch,
  type ServiceAccountMatch,
  type StringMatch,
} from './state/policy.ts';

/** What policies judge: who connects (identity only over mTLS) to which final address. */
export interface RbacConnection {
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly identity?: Spiffe;
}

export type RbacVerdict =
  { readonly kind: 'allowed' } | { readonly kind: 'denied'; readonly reason: string };

/** Told of each policy decision worth a log line: the policy's key (if one) and the message. */
export type PolicyLog = (message: string, policy?: string) => void;

const ALLOWED: RbacVerdict = { kind: 'allowed' };

/**
 * Judges a connection by the policies of its destination, in ztunnel's order (`src/state.rs`
 * assert_rbac): deny first, then allow if any allow policy exists; dry-run policies only log.
 */
export function evaluateRbac(
  policies: readonly Policy[],
  connection: RbacConnection,
  log: PolicyLog = () => undefined,
): RbacVerdict {
  const of = (action: Policy['action'], dryRun: boolean): Policy[] =>
    policies.filter((policy) => policy.action === action && policy.dryRun === dryRun);

  for (const policy of of('Deny', true)) {
    if (policyMatches(policy, connection)) log('dry-run: deny policy match', policyKey(policy));
  }
  const denying = of('Deny', false).find((policy) => policyMatches(policy, connection));
  if (denying) {
    log('deny policy match', policyKey(denying));
    return { kind: 'denied', reason: `explicitly denied by: ${policyKey(denying)}` };
  }
  logDryRunAllow(of('Allow', true), connection, log);
  const allows = of('Allow', false);
  if (allows.length === 0) {
    log('no allow policies, allow');
    return ALLOWED;
  }
  const allowing = allows.find((policy) => policyMatches(policy, connection));
  if (allowing) {
    log('allow policy match', policyKey(allowing));
    return ALLOWED;
  }
  log('no allow policies matched');
  return { kind: 'denied', reason: 'allow policies exist, but none allowed' };
}

function logDryRunAllow(
  policies: readonly Policy[],
  connection: RbacConnection,
  log: PolicyLog,
): void {
  if (policies.length === 0) return;
  const match = policies.find((policy) => policyMatches(policy, connection));
  if (match) log('dry-run: allow policy match', policyKey(match));
  else log('dry-run: no allow policies match');
}

/** Whether one policy's rules match: rules OR, clauses AND, matches OR. No rules: never. */
export function policyMatches(policy: Policy, connection: RbacConnection): boolean {
  return policy.rules.some((clauses) =>
    clauses.every(
      (matches) => matches.length === 0 || matches.some((match) => matchHolds(match, connection)),
    ),
  );
}

function matchHolds(match: RbacMatch, connection: RbacConnection): boolean {
  // A match without any field would match everything: ztunnel takes it for a mistake.
  if (Object.values(match).every((values: readonly unknown[]) => values.length === 0)) return false;
  const { identity, source, destination } = connection;
  const namespace = identity?.namespace ?? '';
  const principal =
    identity && `${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`;
  return (
    both(match.namespaces, match.notNamespaces, (m) => stringMatches(m, namespace)) &&
    both(match.serviceAccounts, match.notServiceAccounts, (m) => accountMatches(m, identity)) &&
    both(match.principals, match.notPrincipals, (m) => stringMatches(m, principal)) &&
    both(match.sourceIps, match.notSourceIps, (range: Cidr) => cidrContains(range, source.ip)) &&
    both(match.destinationIps, match.notDestinationIps, (range: Cidr) =>
      cidrContains(range, destination.ip),
    ) &&
    both(match.destinationPorts, match.notDestinationPorts, (port) => port === destination.port)
  );
}

function both<T>(
  wanted: readonly T[],
  unwanted: readonly T[],
  holds: (value: T) => boolean,
): boolean {
  return (wanted.length === 0 || wanted.some(holds)) && !unwanted.some(holds);
}

function accountMatches(match: ServiceAccountMatch, identity: Spiffe | undefined): boolean {
  return (
    identity?.namespace === match.namespace && identity.serviceAccount === match.serviceAccount
  );
}

function stringMatches(match: StringMatch, value: string | undefined): boolean {
  if (value === undefined) return false;
  switch (match.kind) {
    case 'exact':
      return value === match.value;
    case 'prefix':
      return value.startsWith(match.value);
    case 'suffix':
      return value.endsWith(match.value);
    case 'presence':
      return value !== '';
  }
}
