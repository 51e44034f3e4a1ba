import { type Claim, IN_POD } from '../claim.ts';
import { rollingSharesPort } from '../checks/rolling.ts';

/** See `statement`. */
export const redirect39: Claim = {
  id: 'redirect-39',
  statement: 'A rolling restart refuses no new connection and lets old ones end',
  source: 'facts, statement 39',
  eras: IN_POD,
  changesLab: true,
  check: rollingSharesPort,
};
