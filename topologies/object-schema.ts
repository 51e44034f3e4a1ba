import * as z from 'zod';
import { IP_FAMILIES } from './ip.ts';
import { IP_FAMILY_POLICIES } from './schema.ts';
import { networkPolicySpec } from './network-policy-schema.ts';
import { peerAuthenticationSpec } from './peer-authentication-schema.ts';

const stringMap = z.record(z.string(), z.string());
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const NAME_ERROR = 'Not a name: want lower-case letters, digits, "-" and "."';
const objectName = z.string().regex(SUBDOMAIN, NAME_ERROR);
const port = z.int().min(1).max(65535);
const protocol = z.enum(['TCP', 'UDP']);

const metadata = z.looseObject({
  name: objectName,
  namespace: objectName.optional(),
  labels: stringMap.nullish(),
  annotations: stringMap.nullish(),
  uid: z.string().optional(),
});

const container = z.looseObject({
  name: z.string(),
  image: z.string().optional(),
  command: z.array(z.string()).nullish(),
  args: z.array(z.string()).nullish(),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })).nullish(),
  ports: z
    .array(
      z.looseObject({
        name: z.string().optional(),
        containerPort: port,
        protocol: protocol.optional(),
      }),
    )
    .nullish(),
});

const podSpec = z.looseObject({
  nodeName: z.string().optional(),
  nodeSelector: stringMap.nullish(),
  serviceAccountName: z.string().optional(),
  serviceAccount: z.string().optional(),
  containers: z.array(container).min(1),
});

const service = z.looseObject({
  type: z.enum(['ClusterIP', 'NodePort']).optional(),
  clusterIP: z.string().optional(),
  clusterIPs: z.array(z.string()).min(1).max(2).optional(),
  ipFamilyPolicy: z.enum(IP_FAMILY_POLICIES).optional(),
  ipFamilies: z.array(z.enum(IP_FAMILIES)).max(2).optional(),
  selector: stringMap.nullish(),
  ports: z.array(
    z.looseObject({
      name: z.string().optional(),
      port,
      targetPort: z.union([port, z.string()]).optional(),
      nodePort: port.optional(),
      protocol: protocol.optional(),
    }),
  ),
});

const v1 = z.literal('v1');
const networkingV1 = z.literal('networking.k8s.io/v1');
const securityV1 = z.enum(['security.istio.io/v1', 'security.istio.io/v1beta1']);
const appsV1 = z.literal('apps/v1');

/**
 * What the lab reads of each kind, strictly typed; every other field of a real manifest passes.
 * Fields that would change what is on the wire if they were ignored are refused in `manifests.ts`.
 */
export const OBJECT_SCHEMAS = {
  Namespace: z.looseObject({ apiVersion: v1, kind: z.literal('Namespace'), metadata }),
  ServiceAccount: z.looseObject({ apiVersion: v1, kind: z.literal('ServiceAccount'), metadata }),
  Pod: z.looseObject({ apiVersion: v1, kind: z.literal('Pod'), metadata, spec: podSpec }),
  Deployment: z.looseObject({
    apiVersion: appsV1,
    kind: z.literal('Deployment'),
    metadata,
    spec: z.looseObject({
      replicas: z.int().min(0).max(1000).optional(),
      selector: z.looseObject({ matchLabels: stringMap }),
      template: z.looseObject({
        metadata: z.looseObject({ labels: stringMap.nullish() }).nullish(),
        spec: podSpec,
      }),
    }),
  }),
  Service: z.looseObject({ apiVersion: v1, kind: z.literal('Service'), metadata, spec: service }),
  NetworkPolicy: z.looseObject({
    apiVersion: networkingV1,
    kind: z.literal('NetworkPolicy'),
    metadata,
    spec: networkPolicySpec,
  }),
  PeerAuthentication: z.looseObject({
    apiVersion: securityV1,
    kind: z.literal('PeerAuthentication'),
    metadata,
    spec: peerAuthenticationSpec.nullish(),
  }),
} as const;

export type KnownKind = keyof typeof OBJECT_SCHEMAS;

/** Kinds a manifest may hold, `List` of them included. */
export const KNOWN_KINDS = [...Object.keys(OBJECT_SCHEMAS), 'List'] as const;
