import { isIP } from 'node:net';
import * as z from 'zod';
import type { CmdAdd, EnrolRequest, LeaveRequest, PodRecord, ZtunnelReport } from './api.ts';
import { AgentInputError } from './errors.ts';

/** Goes into packets, file lines and comments of sets: what Kubernetes uses, and no more. */
const uid = z.string().regex(/^[\w.:-]{1,128}$/, 'a uid is wished');
const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'a Kubernetes name is wished');
const address = z.string().refine((text) => isIP(text) !== 0, 'an IP address is wished');
const path = z.string().startsWith('/', 'an absolute path is wished').max(4096);
const annotations = z.record(z.string().max(317), z.string().max(262_144));

const enrolRequest = z.strictObject({
  uid,
  name,
  namespace: name,
  serviceAccount: name,
  netns: path,
  ips: z.array(address).max(16),
  annotations: annotations.optional(),
  timeoutMs: z.number().int().min(0).max(600_000).optional(),
});

const leaveRequest = z.strictObject({ uid, deleted: z.boolean().optional() });

const podRecord = z.strictObject({
  uid,
  name,
  namespace: name,
  serviceAccount: name,
  ambient: z.boolean(),
  annotations: annotations.optional(),
});

const podRecords = z.array(podRecord).max(10_000);

const ztunnelReport = z.strictObject({
  uid,
  netns: path,
  address: z.string().refine((text) => isIP(text) === 4, 'an IPv4 address is wished'),
  createdMs: z.number().nonnegative(),
  ready: z.boolean(),
  gone: z.boolean().optional(),
});

/** Not strict: CNI results carry more (Interface, Gateway), and may grow. */
const cmdAdd = z.object({
  Netns: path,
  PodName: name,
  PodNamespace: name,
  IPs: z
    .array(z.object({ Address: z.object({ IP: address, Mask: z.string().optional() }) }))
    .max(16),
});

const cmdAdds = z.array(cmdAdd).max(10_000);

/** @throws {AgentInputError} naming the first field that is wrong */
export function parseEnrolRequest(body: unknown): EnrolRequest {
  return parse(enrolRequest, 'enrol request', body);
}

/** @throws {AgentInputError} */
export function parseLeaveRequest(body: unknown): LeaveRequest {
  return parse(leaveRequest, 'leave request', body);
}

/** @throws {AgentInputError} */
export function parsePodRecord(body: unknown): PodRecord {
  return parse(podRecord, 'pod', body);
}

/** @throws {AgentInputError} */
export function parsePodRecords(body: unknown): PodRecord[] {
  return parse(podRecords, 'pods', body);
}

/** @throws {AgentInputError} */
export function parseZtunnelReport(body: unknown): ZtunnelReport {
  return parse(ztunnelReport, 'ztunnel', body);
}

/** @throws {AgentInputError} */
export function parseCmdAdd(body: unknown): CmdAdd {
  return parse(cmdAdd, 'CNI event', body);
}

/** @throws {AgentInputError} */
export function parseCmdAdds(body: unknown): CmdAdd[] {
  return parse(cmdAdds, 'CNI events', body);
}

function parse<T>(schema: z.ZodType<T>, what: string, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const at = issue?.path.join('.') ?? '';
  throw new AgentInputError(
    `Cannot read ${what}${at === '' ? '' : ` at "${at}"`}: ${issue?.message ?? 'not valid'}`,
  );
}
