import path from 'node:path';
import { TopologyError, type TopologyFault } from './errors.ts';
import { checkShape, describe, oneOf, valueAt } from './issues.ts';
import { nearest } from './nearest.ts';
import { KNOWN_KINDS, OBJECT_SCHEMAS, type KnownKind } from './object-schema.ts';
import type { KubernetesObject } from './objects.ts';
import type { PlacedObject } from './placed.ts';
import { readText } from './read-text.ts';
import { refusedFields } from './refused-fields.ts';
import { parseSource, type Path, type SourceDocument } from './source.ts';

export interface Manifests {
  readonly placed: readonly PlacedObject[];
  readonly faults: readonly TopologyFault[];
}

/**
 * Objects of the manifests a topology names, relative to `directory`, in file order: many
 * documents a file, `List`s unfolded, objects without a namespace in `default`, `status` dropped.
 */
export function readManifests(
  names: readonly string[],
  directory: string,
  topology: SourceDocument,
): Manifests {
  const placed: PlacedObject[] = [];
  const faults: TopologyFault[] = [];
  const read = new Set<string>();
  for (const [index, name] of names.entries()) {
    const file = path.isAbsolute(name) ? name : path.join(directory, name);
    // Every object would be there twice, and a short topology could cost any number of readings.
    if (read.has(path.resolve(file))) {
      faults.push(topology.fault(['manifests', index], `Manifest "${name}" is named twice`));
      continue;
    }
    read.add(path.resolve(file));
    const text = readText(file);
    if (typeof text !== 'string') {
      const message = `Cannot read manifest "${name}": ${text.reason}`;
      faults.push(topology.fault(['manifests', index], message));
      continue;
    }
    const source = parseSource(text, file);
    faults.push(...source.faults);
    for (const document of source.documents) {
      const found = objectsOf(document, []);
      placed.push(...found.placed);
      faults.push(...found.faults);
    }
  }
  return { placed, faults };
}

/** Its descriptor: `/dev/stdin` cannot be opened where standard input is a socket. */
const STANDARD_INPUT = 0;

/**
 * Objects of manifests that somebody names himself, in order; `-` is standard input.
 * @throws {TopologyError} TOPOLOGY_NOT_FOUND when a file cannot be read, TOPOLOGY_INVALID with every
 *   fault found otherwise
 */
export function loadManifests(files: readonly string[]): readonly PlacedObject[] {
  const found = files.map((file): Manifests => {
    const text = readText(file === '-' ? STANDARD_INPUT : file);
    if (typeof text !== 'string') {
      const message = `Cannot read manifest "${file}": ${text.reason}`;
      const fault = { file, line: 1, column: 1, path: '', message };
      throw new TopologyError('TOPOLOGY_NOT_FOUND', [fault], { cause: text.cause });
    }
    const source = parseSource(text, file);
    const read = source.documents.map((document) => objectsOf(document, []));
    return {
      placed: read.flatMap(({ placed }) => placed),
      faults: [...source.faults, ...read.flatMap(({ faults }) => faults)],
    };
  });
  const faults = found.flatMap((one) => one.faults);
  if (faults.length > 0) throw new TopologyError('TOPOLOGY_INVALID', faults);
  return found.flatMap(({ placed }) => placed);
}

function objectsOf(document: SourceDocument, at: Path): Manifests {
  const value = valueAt(document.value, at);
  if (value === null || value === undefined) return { placed: [], faults: [] };
  const kind = valueAt(value, ['kind']);
  if (kind === 'List') return listItems(document, at);
  if (typeof kind !== 'string' || !Object.hasOwn(OBJECT_SCHEMAS, kind)) {
    return { placed: [], faults: [unknownKind(document, at, kind)] };
  }
  const { data, faults } = checkShape(OBJECT_SCHEMAS[kind as KnownKind], document, at);
  if (data === undefined) return { placed: [], faults };
  const refused = refusedFields(data).map(({ path: inner, message }) =>
    document.fault([...at, ...inner], message, { spot: 'key' }),
  );
  const object = inNamespace(withoutStatus(data) as unknown as KubernetesObject);
  return { placed: [{ object, document, at, isShort: false }], faults: refused };
}

function listItems(document: SourceDocument, at: Path): Manifests {
  const items = valueAt(document.value, [...at, 'items']);
  if (!Array.isArray(items)) {
    const message = items === undefined ? 'Missing key "items"' : 'Expected a list';
    return { placed: [], faults: [document.fault([...at, 'items'], message)] };
  }
  if (at.length > 8) return { placed: [], faults: [document.fault(at, 'Nested too deeply')] };
  const all = items.map((_, index) => objectsOf(document, [...at, 'items', index]));
  return {
    placed: all.flatMap(({ placed }) => placed),
    faults: all.flatMap(({ faults }) => faults),
  };
}

function unknownKind(document: SourceDocument, at: Path, kind: unknown): TopologyFault {
  const want = `want ${oneOf(KNOWN_KINDS)}`;
  if (kind === undefined) {
    return document.fault(at, `Not a Kubernetes object: missing key "kind", ${want}`);
  }
  const suggestion = typeof kind === 'string' ? nearest(kind, KNOWN_KINDS) : undefined;
  return document.fault([...at, 'kind'], `Unknown kind ${describe(kind)}: ${want}`, { suggestion });
}

function withoutStatus(object: Record<string, unknown>): Record<string, unknown> {
  const { status: _status, ...rest } = object;
  const { managedFields: _managed, ...metadata } = rest['metadata'] as Record<string, unknown>;
  return { ...rest, metadata };
}

function inNamespace(object: KubernetesObject): KubernetesObject {
  if (object.kind === 'Namespace' || object.metadata.namespace !== undefined) return object;
  return { ...object, metadata: { ...object.metadata, namespace: 'default' } };
}
