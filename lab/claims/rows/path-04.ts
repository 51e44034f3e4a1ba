import { ambientToSidecar } from '../checks/sidecars.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const path04: Claim = {
  id: 'path-04',
  statement: 'An ambient client reaches a sidecar server at its 15006, then the app',
  source: 'field notes',
  eras: ['sidecar'],
  requests: ['ambientToSidecar', 'ambientToOld'],
  expected: {
    outcome: 'refuted',
    because:
      'sidecars announce HBONE in Istio’s ambient profile and are reached at 15008; those without are as said',
  },
  check: ambientToSidecar,
};
