import * as z from 'zod';
import { parseIp, widthOf } from './ip.ts';

/** `!Exact x`, `!Prefix x`, `!Suffix x` and `!Presence []`, as the YAML reader hands them over. */
const stringMatch = z.union([
  z.strictObject({ tag: z.enum(['Exact', 'Prefix', 'Suffix']), value: z.string() }),
  z.strictObject({ tag: z.literal('Presence'), value: z.unknown() }),
]);

const serviceAccountMatch = z.strictObject({ namespace: z.string(), serviceAccount: z.string() });

/** An address with its mandatory prefix length; host bits may be set, as ztunnel's reader allows. */
const sourceRange = z
  .string()
  .refine(isIpRange, 'Not a CIDR: want an address with its prefix length');

function isIpRange(text: string): boolean {
  const [address = '', prefix = ''] = text.split('/');
  const family = parseIp(address)?.family;
  return family !== undefined && /^(0|[1-9]\d{0,2})$/.test(prefix) && +prefix <= widthOf(family);
}

const port = z.int().min(1).max(65535);
const matches = z.array(stringMatch).optional();
const ranges = z.array(sourceRange).optional();
const ports = z.array(port).optional();
const accounts = z.array(serviceAccountMatch).optional();

/** Keys of one match (ztunnel `src/rbac.rs`, `RbacMatch`, camelCase, unknown fields refused). */
const matchSchema = z.strictObject({
  namespaces: matches,
  notNamespaces: matches,
  serviceAccounts: accounts,
  notServiceAccounts: accounts,
  principals: matches,
  notPrincipals: matches,
  sourceIps: ranges,
  notSourceIps: ranges,
  destinationIps: ranges,
  notDestinationIps: ranges,
  destinationPorts: ports,
  notDestinationPorts: ports,
});

/** One policy of ztunnel's static file; every key is required there, and so it is here. */
export const policySchema = z.strictObject({
  name: z.string().min(1),
  namespace: z.string(),
  scope: z.enum(['Global', 'Namespace', 'WorkloadSelector']),
  action: z.enum(['Allow', 'Deny']),
  dryRun: z.boolean(),
  rules: z.array(z.array(z.array(matchSchema))).describe('rules (OR), clauses (AND), matches (OR)'),
});
