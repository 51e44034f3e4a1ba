import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { NODE_VARIABLE, programNode } from '../hosts/program-node.ts';
import { LabError } from './errors.ts';

/** Programs of ours that run as processes of their own, and their sources. */
const SOURCES = {
  supervisor: 'lab/world/supervisor.ts',
  'app-host': 'lab/world/app-host.ts',
  recorder: 'lab/capture/recorder.ts',
  agent: 'dataplane/agent/main.ts',
  ztunnel: 'dataplane/ztunnel/main.ts',
  'bench-load': 'lab/bench/load/generator.ts',
  'bench-app': 'lab/bench/load/app.ts',
} as const;

export type ProgramName = keyof typeof SOURCES;

/**
 * How to start one of our programs: the bundle when this process is itself a bundle (or
 * `AMBIENT_LAB_PROGRAMS` names a folder of them), else the source through tsx. The choice follows
 * the running code, so that a test from source never runs a stale bundle.
 *
 * @throws LabError LAB_PROGRAM_MISSING when neither is there, or the Node that is asked for is not.
 */
export function programArgv(name: ProgramName, flags: readonly string[] = []): readonly string[] {
  const node = programNode();
  if (!existsSync(node)) throw noNode(name, node);
  const here = fileURLToPath(import.meta.url);
  const bundles =
    process.env['AMBIENT_LAB_PROGRAMS'] ?? (isBundle(here) ? dirname(here) : undefined);
  if (bundles !== undefined) {
    const bundle = join(bundles, `${name}.mjs`);
    if (existsSync(bundle)) return [node, ...flags, bundle];
    throw missing(name, bundle);
  }
  const source = join(dirname(dirname(dirname(here))), SOURCES[name]);
  if (!existsSync(source)) throw missing(name, source);
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return [node, ...flags, '--import', tsx, source];
}

function isBundle(file: string): boolean {
  return file.endsWith('.mjs');
}

function missing(name: ProgramName, path: string): LabError {
  return new LabError('LAB_PROGRAM_MISSING', `Cannot start "${name}": no file ${path}`, {
    hint: 'Build the programs: npm run build',
  });
}

function noNode(name: ProgramName, path: string): LabError {
  return new LabError('LAB_PROGRAM_MISSING', `Cannot start "${name}": no Node at ${path}`, {
    hint: `The variable ${NODE_VARIABLE} names it; unset it, or give it "own" for the Node that runs this`,
  });
}
