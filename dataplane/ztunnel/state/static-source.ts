import { readFileSync } from 'node:fs';
import type { StaticStateSource } from '../config.ts';
import { parseStaticFile, type StaticState } from './static-file.ts';

/**
 * Reads the state from where the settings say, empty when they say nothing.
 * @throws Node's error when the file cannot be read, StaticFileError when it is bad
 */
export function readStaticState(source: StaticStateSource | undefined): StaticState {
  if (!source) return { workloads: [], policies: [], services: [] };
  return source.kind === 'file'
    ? parseStaticFile(source.path, readFileSync(source.path, 'utf8'))
    : parseStaticFile('LOCAL_XDS', source.yaml);
}
