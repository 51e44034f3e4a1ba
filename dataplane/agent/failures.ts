import { TunnelError } from '../tunnels/errors.ts';
import { KernelError } from '../kernel/errors.ts';
import { EraNotBuildableError, RedirectOptionsError, SavedRulesError } from '../redirect/errors.ts';
import type { ApiError } from './api.ts';
import {
  AgentInputError,
  HostSetError,
  PodError,
  ProgramError,
  RoutingMismatchError,
  RulesMismatchError,
  SysctlError,
  ZtunnelLinkError,
  ZtunnelRefusedError,
  ZtunnelUnavailableError,
} from './errors.ts';

/** An HTTP status with the fault to send along. */
export interface Failure {
  readonly statusCode: 400 | 404 | 500 | 503;
  readonly body: ApiError;
}

/**
 * How a failure is told to the caller. As upstream: rules that do not go in are final ("partial"),
 * what comes after them (ztunnel, the node's set) is worth another try.
 */
export function toFailure(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const body = (code: string, retryable: boolean): ApiError => ({
    error: message,
    code,
    retryable,
  });
  if (
    error instanceof ZtunnelUnavailableError ||
    error instanceof ZtunnelRefusedError ||
    error instanceof HostSetError
  ) {
    return { statusCode: 503, body: body(error.code, true) };
  }
  if (error instanceof AgentInputError || error instanceof RedirectOptionsError) {
    return { statusCode: 400, body: body(error.code, false) };
  }
  if (error instanceof PodError) {
    const isUnknown = error.code === 'DATAPLANE_AGENT_POD_UNKNOWN';
    return { statusCode: isUnknown ? 404 : 400, body: body(error.code, false) };
  }
  const hasCode =
    error instanceof ProgramError ||
    error instanceof RulesMismatchError ||
    error instanceof RoutingMismatchError ||
    error instanceof SysctlError ||
    error instanceof ZtunnelLinkError ||
    error instanceof TunnelError ||
    error instanceof SavedRulesError ||
    error instanceof EraNotBuildableError ||
    error instanceof KernelError;
  return { statusCode: 500, body: body(hasCode ? error.code : 'DATAPLANE_AGENT_INTERNAL', false) };
}
