import { type Claim, IN_POD } from '../claim.ts';
import { permissivePort } from '../checks/policies.ts';

/** See `statement`. */
export const redirect52: Claim = {
  id: 'redirect-52',
  statement: 'STRICT with a permissive port admits plain text to that port alone',
  source: 'facts, statement 52',
  eras: IN_POD,
  requests: ['ajarMesh', 'ajarPlain', 'ajarRefused'],
  check: permissivePort,
};
