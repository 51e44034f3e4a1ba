import type { TopologyFault } from './errors.ts';
import type { KubernetesObject } from './objects.ts';
import type { FaultOptions, Path, SourceDocument } from './source.ts';

/** An object and where it was written: in a manifest, or by the short form of the topology. */
export interface PlacedObject {
  readonly object: KubernetesObject;
  readonly document: SourceDocument;
  /** Where it starts in the document. */
  readonly at: Path;
  readonly isShort: boolean;
}

/** A path in an object's own fields, and the same thing's path in the short form. */
export interface Place {
  readonly long: Path;
  readonly short: Path;
}

/** A fault at a field of an object, whichever form the user wrote it in. */
export function faultAt(
  placed: PlacedObject,
  place: Place,
  message: string,
  options?: FaultOptions,
): TopologyFault {
  const path = [...placed.at, ...(placed.isShort ? place.short : place.long)];
  const spot = placed.isShort && place.short.length === 0 ? 'key' : 'value';
  return placed.document.fault(path, message, { spot, ...options });
}

/** `Pod "demo/sleep"`, as messages name objects. */
export function nameOf(object: KubernetesObject): string {
  const { name, namespace } = object.metadata;
  return `${object.kind} "${namespace === undefined ? name : `${namespace}/${name}`}"`;
}
