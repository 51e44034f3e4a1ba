import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const redirect39: Claim = {
  id: 'redirect-39',
  statement: 'A rolling restart refuses no new connection and lets old ones end',
  source: 'facts, statement 39',
  eras: IN_POD,
  needs: 'two ztunnels of a node side by side',
};
