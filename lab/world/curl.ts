import type { RequestResult } from '../facts/request.ts';
import { CANARY_HEADER } from './canary.ts';
import { formatPeer } from './apps/context.ts';
import type { Captured } from './run-captured.ts';

/** Between what curl says went wrong and what it notes of the transfer, behind it on stderr. */
const MARK = '\n@@ambient-lab@@';
const NOTES = '%{http_code} %{local_ip} %{local_port} %{remote_ip} %{remote_port}';

/** Exit codes of curl, from its manual page. */
const CURL_COULD_NOT_CONNECT = 7;
const CURL_PARTIAL_FILE = 18;
const CURL_TIMED_OUT = 28;
const CURL_EMPTY_REPLY = 52;
const CURL_SEND_ERROR = 55;
const CURL_RECEIVE_ERROR = 56;
const CLOSED_EARLY: ReadonlySet<number> = new Set([
  CURL_PARTIAL_FILE,
  CURL_EMPTY_REPLY,
  CURL_SEND_ERROR,
  CURL_RECEIVE_ERROR,
]);

/** The curl of a scenario request: no configuration file, no proxy, canary in query and header. */
export function curlArgv(
  url: string,
  canary: string,
  timeoutMs: number,
  more: readonly string[],
): readonly string[] {
  const seconds = (timeoutMs / 1000).toFixed(3);
  const target = `${url}${url.includes('?') ? '&' : '?'}canary=${canary}`;
  return [
    ...['curl', '-q', '-sS', '--noproxy', '*', '--max-time', seconds],
    ...['-H', `${CANARY_HEADER}: ${canary}`, '-w', `%{stderr}${MARK}${NOTES}`],
    ...more,
    target,
  ];
}

/** What curl's end and output mean; of a long body there may be only the beginning. */
export function readCurl(done: Captured): Pick<
  RequestResult,
  'local' | 'remote' | 'status' | 'exitCode' | 'outcome' | 'error'
> & {
  readonly body: string;
} {
  const at = done.stderr.lastIndexOf(MARK);
  const notes = at < 0 ? [] : done.stderr.slice(at + MARK.length).split(' ');
  const [status, localIp, localPort, remoteIp, remotePort] = notes;
  const error = (at < 0 ? done.stderr : done.stderr.slice(0, at)).trim();
  return {
    body: done.stdout,
    local: endOf(localIp, localPort),
    remote: endOf(remoteIp, remotePort),
    status: Number(status) > 0 ? Number(status) : undefined,
    exitCode: done.exitCode,
    outcome: outcomeOf(done.exitCode, error),
    error: error === '' ? undefined : error,
  };
}

function endOf(ip: string | undefined, port: string | undefined): string | undefined {
  return ip ? formatPeer(ip, Number(port)) : undefined;
}

function outcomeOf(exitCode: number, error: string): RequestResult['outcome'] {
  if (exitCode === 0) return 'ok';
  if (exitCode === CURL_TIMED_OUT) return 'timeout';
  if (CLOSED_EARLY.has(exitCode)) return 'reset';
  if (exitCode !== CURL_COULD_NOT_CONNECT) return 'error';
  if (/timed out/i.test(error)) return 'timeout';
  // Before 7.82 curl says no more than "Failed to connect to … port …: Connection refused".
  return /no route|unreachable/i.test(error) ? 'error' : 'refused';
}
