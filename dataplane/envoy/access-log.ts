import { envoyExtension, type JsonObject } from './json.ts';
import type { SidecarFiles, SidecarPod } from './sidecar-input.ts';

/** Istio's own format (`pilot/pkg/model/telemetry_logging.go`, EnvoyTextLogFormat, 1.30). */
export const ISTIO_LOG_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% ' +
  '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% ' +
  '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% ' +
  '%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% ' +
  '%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

/** Which listener a connection was accepted on; `inbound` is what came in a stream to 15008. */
export type SidecarDirection = 'outbound' | 'inbound-passthrough' | 'inbound';

/** Filter state of ours: `forwarded` of a CONNECT, for the record of what was inside. */
export const FORWARDED_STATE = 'ambient-lab.forwarded';

const FILE_LOGGER = 'envoy.access_loggers.file';
const FILE_LOG = 'access_loggers.file.v3.FileAccessLog';
const NANOSECONDS = '%s%9f';

/** The loggers of a filter: Istio's line for people, and ours that joins the two sides. */
export function accessLogs(
  pod: SidecarPod,
  files: SidecarFiles,
  direction: SidecarDirection,
): readonly JsonObject[] {
  const text = { text_format_source: { inline_string: ISTIO_LOG_FORMAT } };
  const json = { json_format: legLine(pod, direction), omit_empty_values: true };
  return [...fileLog(files.accessLog, text), ...fileLog(files.legLog, json)];
}

function fileLog(path: string | undefined, format: JsonObject): readonly JsonObject[] {
  if (path === undefined) return [];
  return [envoyExtension(FILE_LOGGER, FILE_LOG, { path, log_format: format })];
}

/** The same for what no filter chain took, as Istio logs it: flag NR, or a failed handshake. */
export function listenerAccessLogs(
  pod: SidecarPod,
  files: SidecarFiles,
  direction: SidecarDirection,
): readonly JsonObject[] {
  return accessLogs(pod, files, direction).map((each) => ({
    ...each,
    filter: { response_flag_filter: { flags: ['NR'] } },
  }));
}

/** A leg record (`leg-line.ts`) with what Envoy knows of both connections. */
function legLine({ name, namespace, node }: SidecarPod, direction: SidecarDirection): JsonObject {
  return {
    proxy: 'envoy',
    node,
    pod: `${namespace}/${name}`,
    direction,
    id: `${name}-%CONNECTION_ID%-%START_TIME(${NANOSECONDS})%`,
    openedNs: `%START_TIME(${NANOSECONDS})%`,
    closedNs: `%EMIT_TIME(${NANOSECONDS})%`,
    // An internal listener's own peer is this Envoy; whose tunnel it was is in the restored one.
    ...(direction === 'inbound'
      ? {
          acceptedPeer: '%DOWNSTREAM_REMOTE_ADDRESS%',
          acceptedLocal: '%DOWNSTREAM_LOCAL_ADDRESS%',
          forwarded: `%FILTER_STATE(${FORWARDED_STATE}:PLAIN)%`,
        }
      : {
          acceptedPeer: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
          acceptedLocal: '%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%',
        }),
    originalDestination: '%DOWNSTREAM_LOCAL_ADDRESS%',
    upstreamLocal: '%UPSTREAM_LOCAL_ADDRESS%',
    upstreamRemote: '%UPSTREAM_REMOTE_ADDRESS%',
    traceparent: '%REQ(TRACEPARENT)%',
    bytesSent: '%BYTES_SENT%',
    bytesReceived: '%BYTES_RECEIVED%',
    flags: '%RESPONSE_FLAGS%',
    details: '%RESPONSE_CODE_DETAILS%',
    tlsFailure: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  };
}
