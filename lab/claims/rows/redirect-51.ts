import { type Claim, IN_POD } from '../claim.ts';
import { strictRefusesPlain } from '../checks/policies.ts';

/** See `statement`. */
export const redirect51: Claim = {
  id: 'redirect-51',
  statement: 'STRICT refuses plain text at 15006 and admits HBONE, PERMISSIVE admits both',
  source: 'facts, statement 51',
  eras: IN_POD,
  requests: ['strictMesh', 'strictPlain', 'far', 'plainIn'],
  check: strictRefusesPlain,
};
