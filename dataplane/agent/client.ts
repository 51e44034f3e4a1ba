import { request } from '../kernel/http.ts';
import type {
  AgentStatus,
  ApiError,
  CmdAdd,
  EnrolRequest,
  LeaveRequest,
  PodRecord,
  PodStatus,
  ReconcileReport,
  ZtunnelReport,
} from './api.ts';

/** The agent answered with a failure; `retryable` is its own judgement. */
export class AgentRequestError extends Error {
  override readonly name = 'AgentRequestError';
  readonly code: string;
  readonly statusCode: number;
  readonly retryable: boolean;

  constructor(path: string, statusCode: number, fault: ApiError) {
    super(`Cannot ${path.slice(1)}: ${fault.error}`);
    this.code = fault.code;
    this.statusCode = statusCode;
    this.retryable = fault.retryable;
  }
}

export interface AgentCallOptions {
  readonly signal?: AbortSignal;
}

/** The verbs of one agent, by its plugin socket. */
export interface AgentClient {
  cmdAdd(event: CmdAdd, options?: AgentCallOptions): Promise<void>;
  cmdAddAll(events: readonly CmdAdd[], options?: AgentCallOptions): Promise<void>;
  announce(pod: PodRecord, options?: AgentCallOptions): Promise<void>;
  announceAll(pods: readonly PodRecord[], options?: AgentCallOptions): Promise<void>;
  enrol(pod: EnrolRequest, options?: AgentCallOptions): Promise<PodStatus>;
  leave(pod: LeaveRequest, options?: AgentCallOptions): Promise<void>;
  ztunnel(pod: ZtunnelReport, options?: AgentCallOptions): Promise<void>;
  reconcile(options?: AgentCallOptions): Promise<ReconcileReport>;
  pods(options?: AgentCallOptions): Promise<readonly PodStatus[]>;
  status(options?: AgentCallOptions): Promise<AgentStatus>;
}

/**
 * Speaks to the agent behind `socketPath`, one connection a request.
 * Its calls reject with {@link AgentRequestError} when the agent refuses, and with the error of the
 * socket (ENOENT, ECONNREFUSED) when there is no agent.
 */
export function agentClient(socketPath: string): AgentClient {
  const call = <T>(path: string, body: unknown, options?: AgentCallOptions): Promise<T> =>
    exchange<T>(socketPath, path, body, options?.signal);
  return {
    cmdAdd: async (event, options) => void (await call('/cmdadd', event, options)),
    cmdAddAll: async (events, options) => void (await call('/cmdadd-all', events, options)),
    announce: async (pod, options) => void (await call('/announce', pod, options)),
    announceAll: async (pods, options) => void (await call('/announce-all', pods, options)),
    enrol: (pod, options) => call('/enrol', pod, options),
    leave: async (pod, options) => void (await call('/leave', pod, options)),
    ztunnel: async (pod, options) => void (await call('/ztunnel', pod, options)),
    reconcile: (options) => call('/reconcile', {}, options),
    pods: (options) => call('/pods', undefined, options),
    status: (options) => call('/status', undefined, options),
  };
}

function exchange<T>(
  socketPath: string,
  path: string,
  body: unknown,
  signal: AbortSignal | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const outgoing = request({
      socketPath,
      path,
      method: text === undefined ? 'GET' : 'POST',
      agent: false,
      headers: text === undefined ? {} : { 'content-type': 'application/json' },
      ...(signal === undefined ? {} : { signal }),
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        try {
          const answer: unknown = JSON.parse(Buffer.concat(parts).toString('utf8'));
          const statusCode = response.statusCode ?? 0;
          if (statusCode === 200) resolve(answer as T);
          else reject(new AgentRequestError(path, statusCode, answer as ApiError));
        } catch (error) {
          reject(new Error('Cannot read the answer of the agent: no JSON', { cause: error }));
        }
      });
    });
    outgoing.end(text);
  });
}
