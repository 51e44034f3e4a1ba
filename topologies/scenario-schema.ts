import * as z from 'zod';
import { ERA_NAMES } from './era.ts';
import { CAUSE_NAMES, FAULT_NAMES } from './fault-names.ts';
import { IP_FAMILIES } from './ip.ts';
import { LEG_PATTERN } from './leg-notation.ts';

const faultSchema = z.strictObject({
  fault: z.enum(FAULT_NAMES),
  at: z.string().describe('Pod or node, as the fault needs'),
});

const stepSchema = z
  .strictObject({
    enrol: z.string().optional(),
    leave: z.string().optional(),
    apply: z
      .string()
      .optional()
      .describe('File of NetworkPolicy objects, from the folder of the topology'),
    delete: z
      .string()
      .regex(/^[^/\s]+\/[^/\s]+$/, 'Not a policy: want "<namespace>/<name>"')
      .optional()
      .describe('A NetworkPolicy, as namespace/name'),
    label: z
      .strictObject({ pod: z.string(), labels: z.record(z.string(), z.string().nullable()) })
      .optional()
      .describe('Labels of a pod; null takes one away'),
    break: faultSchema.optional().describe('A fault of the field, made in the running lab'),
    mend: faultSchema.optional().describe('The same, taken back'),
  })
  .refine(
    (step) => Object.keys(step).length === 1,
    'Want exactly one of "enrol", "leave", "apply", "delete", "label", "break" and "mend"',
  );

const nodePair = z.tuple([z.string(), z.string()]);

const LEG_ERROR = 'Not a leg: want "<from> -> <to>:<port>", with " hbone" behind it for a tunnel';
const QUIET_ERROR = 'Not an interface: want "<netns>/<interface>"';

const expectSchema = z.strictObject({
  status: z.int().min(100).max(599).optional(),
  outcome: z.enum(['ok', 'refused', 'reset', 'timeout']).optional(),
  source: z.string().optional().describe('Whose address the app saw: pod, node, outside or IP'),
  encryptedBetween: nodePair.optional(),
  plainBetween: nodePair.optional(),
  security: z.enum(['mtls', 'plain']).optional(),
  identities: z
    .strictObject({ client: z.string().optional(), server: z.string().optional() })
    .optional(),
  legs: z.array(z.string().regex(LEG_PATTERN, LEG_ERROR)).optional(),
  hops: z.int().min(0).optional(),
  passes: z.int().min(0).optional(),
  findings: z
    .array(z.strictObject({ cause: z.enum(CAUSE_NAMES), at: z.string() }))
    .optional()
    .describe('What `diagnose` finds after the request, all of it; [] for nothing'),
  quiet: z.array(z.string().regex(/^[^/\s]+\/[^/\s]+$/, QUIET_ERROR)).optional(),
});

/** What differs in one era; null takes an expectation away. */
const changesSchema = z.strictObject(
  Object.fromEntries(
    Object.entries(expectSchema.shape).map(([key, value]) => [key, value.nullable()]),
  ) as { [K in keyof typeof expectSchema.shape]: z.ZodNullable<(typeof expectSchema.shape)[K]> },
);

const erasSchema = z
  .partialRecord(z.enum(ERA_NAMES), changesSchema)
  .describe('What is expected otherwise in an era; null for what is not judged there');

/** One scenario as written. */
export const scenarioSchema = z.strictObject({
  name: z.string().min(1).max(200),
  before: z.array(stepSchema).optional(),
  request: z.strictObject({
    from: z.string(),
    to: z
      .string()
      .describe('http://…, tcp://host:port, udp://host:port, dns://name/type or dns-tcp://…'),
    ipFamily: z.enum(IP_FAMILIES).optional().describe('Where there are two'),
    count: z.int().min(1).max(1000).optional(),
  }),
  expect: expectSchema,
  eras: erasSchema.optional(),
});

export type ScenarioInput = z.infer<typeof scenarioSchema>;
