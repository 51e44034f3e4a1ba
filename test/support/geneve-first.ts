/**
 * Options of tshark with which frames to port 6081 are read as Geneve whatever port they come from.
 * As the kernel's Geneve device, ours sends from ports 1 to 65535, one a flow, and tshark goes by
 * the lower port: what comes from 5247 would be CAPWAP. Other bytes than Geneve's still are not.
 */
export const GENEVE_FIRST: readonly string[] = ['-d', 'udp.port==1-6080,geneve'];
