import { type Claim, IN_POD } from '../claim.ts';
import { entersOnlyToMakeSockets } from '../checks/handover.ts';

/** See `statement`. */
export const sock02: Claim = {
  id: 'sock-02',
  statement: 'The namespace is handed over as a descriptor and entered only to make a socket',
  source: 'field notes',
  eras: IN_POD,
  changesLab: true,
  check: entersOnlyToMakeSockets,
};
