import { type Cidr, parseCidr } from '../address.ts';
import type { Policy, RbacMatch, ServiceAccountMatch, StringMatch } from './policy.ts';
import type { YamlValue } from './yaml-reader.ts';

const MATCH_KEYS = [
  'namespaces',
  'notNamespaces',
  'serviceAccounts',
  'notServiceAccounts',
  'principals',
  'notPrincipals',
  'sourceIps',
  'notSourceIps',
  'destinationIps',
  'notDestinationIps',
  'destinationPorts',
  'notDestinationPorts',
] as const;

/** One entry of `policies`; every key is required (`src/rbac.rs`). */
export function readPolicy(value: YamlValue): Policy {
  const f = value.fields(['name', 'namespace', 'scope', 'action', 'dryRun', 'rules']);
  const matches = (v: YamlValue): RbacMatch[] => v.list().map(readMatch);
  return {
    name: value.required(f, 'name').string(),
    namespace: value.required(f, 'namespace').string(),
    scope: value.required(f, 'scope').choice(['Global', 'Namespace', 'WorkloadSelector']),
    action: value.required(f, 'action').choice(['Allow', 'Deny']),
    dryRun: value.required(f, 'dryRun').boolean(),
    rules: value
      .required(f, 'rules')
      .list()
      .map((rule) => rule.list().map(matches)),
  };
}

function readMatch(value: YamlValue): RbacMatch {
  const f = value.fields(MATCH_KEYS);
  const list = <T>(v: YamlValue | undefined, read: (item: YamlValue) => T): readonly T[] =>
    v?.list().map(read) ?? [];
  return {
    namespaces: list(f.namespaces, readStringMatch),
    notNamespaces: list(f.notNamespaces, readStringMatch),
    serviceAccounts: list(f.serviceAccounts, readServiceAccount),
    notServiceAccounts: list(f.notServiceAccounts, readServiceAccount),
    principals: list(f.principals, readStringMatch),
    notPrincipals: list(f.notPrincipals, readStringMatch),
    sourceIps: list(f.sourceIps, readRange),
    notSourceIps: list(f.notSourceIps, readRange),
    destinationIps: list(f.destinationIps, readRange),
    notDestinationIps: list(f.notDestinationIps, readRange),
    destinationPorts: list(f.destinationPorts, readPort),
    notDestinationPorts: list(f.notDestinationPorts, readPort),
  };
}

function readStringMatch(value: YamlValue): StringMatch {
  switch (value.tag()) {
    case 'Exact':
      return { kind: 'exact', value: value.string() };
    case 'Prefix':
      return { kind: 'prefix', value: value.string() };
    case 'Suffix':
      return { kind: 'suffix', value: value.string() };
    case 'Presence':
      return { kind: 'presence' };
    default:
      return value.fail('lacks a tag, one of !Exact, !Prefix, !Suffix, !Presence is wanted');
  }
}

function readServiceAccount(value: YamlValue): ServiceAccountMatch {
  const f = value.fields(['namespace', 'serviceAccount']);
  return {
    namespace: value.required(f, 'namespace').string(),
    serviceAccount: value.required(f, 'serviceAccount').string(),
  };
}

function readRange(value: YamlValue): Cidr {
  const text = value.string();
  return parseCidr(text) ?? value.fail(`is "${text}", address/length is wanted`);
}

function readPort(value: YamlValue): number {
  return value.integer(0, 65_535);
}
