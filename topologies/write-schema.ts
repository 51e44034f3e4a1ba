import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { renderJsonSchema } from './json-schema.ts';

// Run as `npx tsx topologies/write-schema.ts` after a change of the schema; a test tells when.
writeFileSync(path.join(import.meta.dirname, 'schema.json'), renderJsonSchema());
