import * as z from 'zod';
import { parseIpRange } from './ip.ts';

const stringMap = z.record(z.string(), z.string());
const port = z.int().min(1).max(65535);

const expression = z
  .strictObject({
    key: z.string().min(1),
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
    values: z.array(z.string()).nullish(),
  })
  .superRefine(({ operator, values }, context) => {
    const wantsValues = operator === 'In' || operator === 'NotIn';
    if (wantsValues === (values ?? []).length > 0) return;
    const message = wantsValues
      ? `Operator ${operator} wants at least one of "values"`
      : `Operator ${operator} takes no "values"`;
    context.addIssue({ code: 'custom', path: ['operator'], message });
  });

const selector = z.strictObject({
  matchLabels: stringMap.nullish(),
  matchExpressions: z.array(expression).nullish(),
});

const CIDR_ERROR = 'Not a CIDR: want an address with its prefix length';
const cidr = z.string().refine((text) => parseIpRange(text) !== undefined, CIDR_ERROR);

const ipBlock = z
  .strictObject({ cidr, except: z.array(cidr).nullish() })
  .superRefine(({ cidr: whole, except }, context) => {
    const range = parseIpRange(whole);
    for (const [index, text] of (except ?? []).entries()) {
      const part = parseIpRange(text);
      if (!range || !part) continue;
      const isInside =
        range.family === part.family && range.first <= part.first && part.last <= range.last;
      if (isInside && part.prefix > range.prefix) continue;
      const message = `Not a part of "${whole}"`;
      context.addIssue({ code: 'custom', path: ['except', index], message });
    }
  });

const peer = z
  .strictObject({
    podSelector: selector.nullish(),
    namespaceSelector: selector.nullish(),
    ipBlock: ipBlock.nullish(),
  })
  .superRefine((value, context) => {
    const hasSelector = !!value.podSelector || !!value.namespaceSelector;
    if (value.ipBlock ? !hasSelector : hasSelector) return;
    const message = value.ipBlock
      ? 'An "ipBlock" stands alone: pods behind it are not known by label'
      : 'Want "podSelector", "namespaceSelector" or "ipBlock"';
    context.addIssue({ code: 'custom', path: value.ipBlock ? ['ipBlock'] : [], message });
  });

const policyPort = z
  .strictObject({
    protocol: z.enum(['TCP', 'UDP']).optional(),
    port: z.union([port, z.string().min(1).max(15)]).optional(),
    endPort: port.optional(),
  })
  .superRefine((value, context) => {
    if (value.endPort === undefined) return;
    const fault = (message: string): void =>
      context.addIssue({ code: 'custom', path: ['endPort'], message });
    if (typeof value.port !== 'number') fault('"endPort" wants a number in "port"');
    else if (value.endPort < value.port) fault(`Lower than "port" (${value.port})`);
  });

const ports = z.array(policyPort).nullish();
const peers = z.array(peer).nullish();

/**
 * A NetworkPolicy's spec (networking.k8s.io/v1, `k8s.io/api/networking/v1/types.go`). Every field is
 * known: one that is not would be a rule that nobody enforces.
 */
export const networkPolicySpec = z.strictObject({
  podSelector: selector,
  policyTypes: z.array(z.enum(['Ingress', 'Egress'])).nullish(),
  ingress: z.array(z.strictObject({ from: peers, ports })).nullish(),
  egress: z.array(z.strictObject({ to: peers, ports })).nullish(),
});
