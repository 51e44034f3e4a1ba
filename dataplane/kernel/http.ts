/**
 * `node:http` without what stands beside it: an import makes every export of it be read, and in newer
 * Nodes some of those load the whole of undici (measured on Node 26: 16 MB and 30 ms of CPU a process).
 */
export const { createServer, request } = process.getBuiltinModule('node:http');
