import type { Claim } from '../claim.ts';
import { tunnelsAreNodeLocal } from '../checks/node-rules.ts';

/** See `statement`. */
export const redirect14: Claim = {
  id: 'redirect-14',
  statement: 'Two nodes can use the same tunnel addresses',
  source: 'facts, statement 14',
  eras: ['geneve'],
  requests: ['far'],
  check: tunnelsAreNodeLocal,
};
