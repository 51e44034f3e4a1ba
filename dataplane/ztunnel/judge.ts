import { policyRejected, type ProxyError } from './proxy-error.ts';
import type { ProxyContext } from './proxy-context.ts';
import { evaluateRbac, type PolicyLog, type RbacConnection } from './rbac.ts';
import type { Workload } from './state/workload.ts';

const SCOPE = 'rbac';

/** Judges a connection by the policies in force now; the refusal, or undefined when it may pass. */
export function judge(
  proxy: ProxyContext,
  destination: Workload,
  connection: RbacConnection,
): ProxyError | undefined {
  const { log, config, store } = proxy;
  const policies = store.current.policiesFor(destination);
  const level = config.policyInfoLogging ? 'info' : 'debug';
  const note: PolicyLog = (message, policy) => log.log(level, SCOPE, message, { policy });
  const verdict = evaluateRbac(policies, connection, note);
  return verdict.kind === 'denied' ? policyRejected(verdict.reason) : undefined;
}
