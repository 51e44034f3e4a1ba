import * as z from 'zod';
import { topologySchema } from './schema.ts';

/**
 * JSON Schema (2020-12) of topology files as text, for editors: what `topologies/schema.json`
 * holds. Tags of policies (`!Exact x`) are YAML's own and allowed as plain text here.
 */
export function renderJsonSchema(): string {
  const schema = z.toJSONSchema(topologySchema, { io: 'input', override: allowTags });
  const title = { $id: 'https://ambient-lab.invalid/topology.schema.json', title: 'Topology' };
  return `${JSON.stringify({ ...schema, ...title }, null, 2)}\n`;
}

/** Editors see a tagged scalar as its text, and `!Presence []` as an empty list. */
function allowTags({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  const isTagged = jsonSchema.anyOf?.some(
    (one) => typeof one === 'object' && one.properties?.['tag'] !== undefined,
  );
  if (!isTagged) return;
  jsonSchema.anyOf = [{ type: 'string' }, { type: 'array', maxItems: 0 }, { type: 'null' }];
}
