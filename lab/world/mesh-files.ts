import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createFileCa, type CaFiles } from '../../dataplane/identity/file-ca.ts';
import type { Plan } from '../plan/plan.ts';
import { renderStaticConfig } from '../plan/static-config.ts';
import { nodeSockets, type LabPaths } from './paths.ts';

/** Files that agents and ztunnels are given. */
export interface MeshFiles {
  readonly ca: CaFiles;
  /** ztunnel's static file, the same for every node. */
  readonly staticConfig: string;
}

/** Makes the lab's CA, the folders of the sockets, and the static file for those enrolled. */
export function prepareMeshFiles(
  plan: Plan,
  paths: LabPaths,
  enrolled: ReadonlySet<string>,
): MeshFiles {
  for (const node of plan.nodes) {
    const { zds, plugin } = nodeSockets(node.name);
    mkdirSync(dirname(zds), { recursive: true });
    mkdirSync(dirname(plugin), { recursive: true });
  }
  const files: MeshFiles = {
    ca: createFileCa({ dir: join(paths.directory, 'ca'), trustDomain: plan.trustDomain }),
    staticConfig: join(paths.directory, 'workloads.yaml'),
  };
  writeStaticConfig(plan, files, enrolled);
  return files;
}

/** Replaces the static file whole: a reader sees the old one or the new one. */
export function writeStaticConfig(
  plan: Plan,
  { staticConfig }: MeshFiles,
  enrolled: ReadonlySet<string>,
): void {
  writeFileSync(`${staticConfig}.new`, renderStaticConfig(plan, enrolled), { mode: 0o600 });
  renameSync(`${staticConfig}.new`, staticConfig);
}
