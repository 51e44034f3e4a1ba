import * as z from 'zod';

/** Modes of `PeerAuthentication` (`security/v1beta1/peer_authentication.proto`). */
const MTLS_MODES = ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'] as const;
const PORT = /^[1-9]\d{0,4}$/;

const mutualTls = z.strictObject({ mode: z.enum(MTLS_MODES).optional() });

/** Its spec; every field is read. A port of its own is only for a workload, as Istio validates it. */
export const peerAuthenticationSpec = z
  .strictObject({
    selector: z.strictObject({ matchLabels: z.record(z.string(), z.string()).nullish() }).nullish(),
    mtls: mutualTls.nullish(),
    portLevelMtls: z
      .record(z.string().regex(PORT, 'Not a port: want 1 to 65535'), mutualTls)
      .nullish(),
  })
  .superRefine(({ selector, portLevelMtls }, context) => {
    const isForAll = Object.keys(selector?.matchLabels ?? {}).length === 0;
    if (!isForAll || Object.keys(portLevelMtls ?? {}).length === 0) return;
    const message = 'Ports of their own want a "selector" with labels: they are for workloads only';
    context.addIssue({ code: 'custom', path: ['portLevelMtls'], message });
  });
