import type { Drift } from '../redirect/diff.ts';
import type { Family } from '../redirect/rule.ts';

/** A program that was needed ended badly, or was ended after its time. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError';
  readonly code = 'DATAPLANE_AGENT_PROGRAM';
  readonly argv: readonly string[];
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly stderr: string;

  constructor(argv: readonly string[], exitCode: number | null, stderr: string, cause?: unknown) {
    const ending = exitCode === null ? 'did not end well' : `ended with ${exitCode}`;
    const detail = stderr.trim().slice(0, 400);
    super(`Cannot run "${argv.join(' ')}": it ${ending}${detail === '' ? '' : `: ${detail}`}`, {
      cause,
    });
    this.argv = argv;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

/** Rules were loaded without a complaint, and are not what the kernel says afterwards. */
export class RulesMismatchError extends Error {
  override readonly name = 'RulesMismatchError';
  readonly code = 'DATAPLANE_AGENT_RULES_MISMATCH';
  /** `inet` for tables of nftables. */
  readonly family: Family | 'inet';
  readonly drift: Drift;

  constructor(family: Family | 'inet', drift: Drift) {
    const { missing, extra, reordered } = drift;
    super(
      `Cannot apply ${family} rules: read back from the kernel, ${missing.length} are missing, ` +
        `${extra.length} too many, ${reordered.length} chains in another order`,
    );
    this.family = family;
    this.drift = drift;
  }
}

/** Policy routing was set without a complaint, and is not there. */
export class RoutingMismatchError extends Error {
  override readonly name = 'RoutingMismatchError';
  readonly code = 'DATAPLANE_AGENT_ROUTING_MISMATCH';
  readonly missing: readonly string[];

  constructor(missing: readonly string[]) {
    super(`Cannot set policy routing: read back from the kernel, missing: ${missing.join('; ')}`);
    this.missing = missing;
  }
}

/** A kernel setting cannot be had. */
export class SysctlError extends Error {
  override readonly name = 'SysctlError';
  readonly code = 'DATAPLANE_AGENT_SYSCTL';
  readonly key: string;

  constructor(key: string, value: string, state: string, cause?: unknown) {
    super(`Cannot set "${key}" to ${value}: ${state}`, { cause });
    this.key = key;
  }
}

/** The node's ztunnel is not reached in the way that the node-level redirect needs. */
export class ZtunnelLinkError extends Error {
  override readonly name = 'ZtunnelLinkError';
  readonly code = 'DATAPLANE_AGENT_ZTUNNEL_LINK';

  constructor(address: string, state: string) {
    super(`Cannot redirect to the ztunnel at "${address}": ${state}, a veth of its own is wished`);
  }
}

/** No ztunnel is connected, or it went away before it answered: later may be better. */
export class ZtunnelUnavailableError extends Error {
  override readonly name = 'ZtunnelUnavailableError';
  readonly code = 'DATAPLANE_AGENT_ZTUNNEL_UNAVAILABLE';

  constructor(action: string, state: string) {
    super(`Cannot ${action}: ${state}, a connected ztunnel is wished`);
  }
}

/** ztunnel answered with an error. */
export class ZtunnelRefusedError extends Error {
  override readonly name = 'ZtunnelRefusedError';
  readonly code = 'DATAPLANE_AGENT_ZTUNNEL_REFUSED';
  readonly reason: string;

  constructor(action: string, reason: string) {
    super(`Cannot ${action}: ztunnel answered "${reason}"`);
    this.reason = reason;
  }
}

/** ztunnel has the pod, and the node's set of probed addresses has not: later may be better. */
export class HostSetError extends Error {
  override readonly name = 'HostSetError';
  readonly code = 'DATAPLANE_AGENT_HOST_SET';

  constructor(uid: string, cause: unknown) {
    const state = cause instanceof Error ? cause.message : String(cause);
    super(`Cannot let probes pass to pod "${uid}": ${state}`, { cause });
  }
}

/** A pod that cannot be enrolled as it was described. */
export class PodError extends Error {
  override readonly name = 'PodError';
  readonly code: 'DATAPLANE_AGENT_POD_NETNS' | 'DATAPLANE_AGENT_POD_UNKNOWN';

  constructor(code: PodError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** Settings or a request that say something impossible. */
export class AgentInputError extends Error {
  override readonly name = 'AgentInputError';
  readonly code = 'DATAPLANE_AGENT_INPUT';
}
