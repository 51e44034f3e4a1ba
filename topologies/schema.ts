import * as z from 'zod';
import { CNI_NAMES, NETWORK_POLICY_FLAVOURS } from './cni.ts';
import { ERA_NAMES, GENEVE_RELEASE_NAMES, IPTABLES_NAMES, TPROXY_RELEASE_NAMES } from './era.ts';
import { familyOf, IP_FAMILIES, parseIpRange } from './ip.ts';
import { policySchema } from './policy-schema.ts';
import { proxyMetadataSchema } from './proxy-metadata.ts';
import { scenarioSchema } from './scenario-schema.ts';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const LABEL_ERROR = 'Not a DNS label: want lower-case letters, digits and "-", at most 63';

/** Name of a node, namespace, workload or service (RFC 1123 label, as Kubernetes wants it). */
const dnsLabel = z.string().regex(DNS_LABEL, LABEL_ERROR);

/** TCP or UDP port. */
const portNumber = z.int().min(1).max(65535);

const stringMap = z.record(z.string(), z.string());
const cidr = z.string().refine((text) => parseIpRange(text) !== undefined, 'Not an IP range');
const address = z.string().refine((text) => familyOf(text) !== undefined, 'Not an IP address');
/** One value, or one of each family. */
const perFamily = <T extends z.ZodType>(one: T) => z.union([one, z.array(one).min(1).max(2)]);

export const IP_FAMILY_POLICIES = ['SingleStack', 'PreferDualStack', 'RequireDualStack'] as const;

/** The four values that kubeadm's ranges can give a cluster. */
const ipFamilies = z
  .array(z.enum(IP_FAMILIES))
  .min(1)
  .max(2)
  .refine((list) => new Set(list).size === list.length, 'A family is listed twice')
  .describe('[IPv4], [IPv6], or both; the first is what a pod or service has by default');

const nodeSchema = z.strictObject({
  name: dnsLabel,
  podRange: perFamily(cidr)
    .optional()
    .describe('Addresses of its pods; 10.244.N.0/24 and fd00:10:244:N::/64 when absent'),
});

const namespaceSchema = z.strictObject({
  mode: z
    .enum(['none', 'ambient', 'sidecar'])
    .optional()
    .describe(
      'ambient sets the label istio.io/dataplane-mode, sidecar istio-injection; none when absent',
    ),
  labels: stringMap.optional(),
});

/** Programs the app host serves; `none` is a pod that only waits. */
const APP_NAMES = ['http', 'tcp-echo', 'udp-echo', 'none'] as const;

const appSchema = z.strictObject({
  app: z.enum(['http', 'tcp-echo', 'udp-echo']),
  port: portNumber,
});

const workloadSchema = z.strictObject({
  namespace: dnsLabel.optional(),
  node: dnsLabel.optional().describe('Chosen in turn when absent'),
  app: z.enum(APP_NAMES).optional(),
  port: portNumber.optional().describe('Port of `app`: 8080 for http, 9000 for echo when absent'),
  apps: z.array(appSchema).optional().describe('Several programs instead of one `app`'),
  command: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('Any program of this machine, run as a process of the pod'),
  env: stringMap.optional().describe('Environment of `command`'),
  version: z.string().optional().describe('Label `version`, and what the http app says it is'),
  serviceAccount: dnsLabel.optional().describe('Named as the workload when absent'),
  enrolled: z.boolean().optional().describe('false opts the pod out, true opts it in'),
  address: perFamily(address)
    .optional()
    .describe('Address of the pod, or one of each family; the next free one when absent'),
  policies: z
    .array(z.string())
    .optional()
    .describe('Policies of scope WorkloadSelector that hold for it, as namespace/name'),
  guest: z
    .string()
    .optional()
    .describe('Interface of the pod behind which a virtual machine lives: `<pod>-guest`'),
  labels: stringMap.optional(),
  annotations: stringMap
    .optional()
    .describe('Those of Istio change what its redirect does, from the release on that knows them'),
});

const SERVICE_PORT = /^[1-9]\d{0,4}(\/(tcp|udp))?$/;
const servicePortKey = z.string().regex(SERVICE_PORT, 'Not a port: want 80, 80/tcp or 53/udp');

const serviceSchema = z.strictObject({
  namespace: dnsLabel.optional(),
  selector: z
    .union([dnsLabel, stringMap])
    .describe('A workload by name, or labels of pods')
    .optional(),
  ports: z
    .record(servicePortKey, z.union([portNumber, z.string()]))
    .describe('Port of the service to port of the pods; `53/udp` for UDP'),
  nodePort: portNumber.optional().describe('30000 to 32767, for a service of one port'),
  headless: z.boolean().optional(),
  clusterIP: address
    .optional()
    .describe('In 10.96.0.0/16 or fd00:10:96::/112; the next free one when absent'),
  clusterIPs: z.array(address).min(1).max(2).optional(),
  ipFamilyPolicy: z.enum(IP_FAMILY_POLICIES).optional().describe('SingleStack when absent'),
  ipFamilies: ipFamilies.optional(),
});

/** A topology file as written, before names are looked up and the short form is expanded. */
export const topologySchema = z
  .strictObject({
    $schema: z.string().optional(),
    name: dnsLabel.max(40),
    description: z.string().optional(),
    era: z.enum(ERA_NAMES).optional().describe('Generation of the redirect'),
    release: z
      .enum([...GENEVE_RELEASE_NAMES, ...TPROXY_RELEASE_NAMES])
      .optional()
      .describe('Istio release that era geneve (1.20 when absent) or inpod-tproxy (1.23) follows'),
    iptables: z
      .enum(IPTABLES_NAMES)
      .optional()
      .describe('Backend of iptables; the one of this machine when absent'),
    dnsCapture: z
      .boolean()
      .optional()
      .describe('Whether ztunnel answers DNS; when absent, all do but that of era geneve'),
    cni: z
      .enum(CNI_NAMES)
      .optional()
      .describe('Flavour of the primary CNI: routed veths, a bridge on the node, a VXLAN overlay'),
    networkPolicy: z
      .enum(NETWORK_POLICY_FLAVOURS)
      .optional()
      .describe('What enforces NetworkPolicy objects on the nodes; nft when absent'),
    ipFamilies: ipFamilies.optional(),
    proxyMetadata: proxyMetadataSchema
      .optional()
      .describe('Metadata of every sidecar (meshConfig.defaultConfig.proxyMetadata)'),
    nodes: z.array(z.union([dnsLabel, nodeSchema])).min(1),
    namespaces: z.record(dnsLabel, namespaceSchema).optional(),
    workloads: z.record(dnsLabel, workloadSchema).optional(),
    services: z.record(dnsLabel, serviceSchema).optional(),
    manifests: z.array(z.string()).optional().describe('Files of Kubernetes objects, from here'),
    policies: z.array(policySchema).optional().describe('L4 policies as in ztunnel’s own file'),
    capture: z
      .strictObject({ snapLength: z.int().min(0).max(262144).optional() })
      .optional()
      .describe('Bytes kept of each frame; 0 keeps all'),
    scenarios: z.array(scenarioSchema).optional(),
  })
  .describe('A topology of ambient-lab');

export type TopologyInput = z.infer<typeof topologySchema>;
export type WorkloadInput = z.infer<typeof workloadSchema>;
export type ServiceInput = z.infer<typeof serviceSchema>;
