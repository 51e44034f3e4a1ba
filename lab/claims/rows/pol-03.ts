import type { Claim } from '../claim.ts';
import { strictRefusesPlain } from '../checks/policies.ts';

/** See `statement`. */
export const pol03: Claim = {
  id: 'pol-03',
  statement: 'STRICT refuses plain text and admits HBONE; PERMISSIVE admits both',
  source: 'field notes',
  eras: ['inpod-redirect'],
  requests: ['strictMesh', 'strictPlain', 'far', 'plainIn'],
  check: strictRefusesPlain,
};
