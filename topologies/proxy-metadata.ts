import * as z from 'zod';

const flag = z.enum(['true', 'false']);

/**
 * Metadata of sidecars that the lab knows, as `meshConfig.defaultConfig.proxyMetadata` has it:
 * variables of istio-init and of the proxy. What is absent is as with Istio's ambient profile.
 */
export const proxyMetadataSchema = z.strictObject({
  ISTIO_META_ENABLE_HBONE: flag
    .optional()
    .describe('Whether sidecars take HBONE on 15008, and ztunnel knows it; "true" when absent'),
  ISTIO_META_DISABLE_HBONE_SEND: flag
    .optional()
    .describe('"true": sidecars send plain text to pods in ambient; "false" when absent'),
  ISTIO_META_DNS_CAPTURE: flag
    .optional()
    .describe('Whether the agent of a sidecar answers DNS; "false" when absent'),
  INVALID_DROP: flag
    .optional()
    .describe('Whether what conntrack calls invalid is dropped in the pod; "false" when absent'),
});

export type ProxyMetadata = Readonly<z.infer<typeof proxyMetadataSchema>>;
