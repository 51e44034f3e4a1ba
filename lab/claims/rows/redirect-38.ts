import { type Claim, IN_POD } from '../claim.ts';
import { tornDownAtOnce } from '../checks/lives.ts';

/** See `statement`. */
export const redirect38: Claim = {
  id: 'redirect-38',
  statement: 'DelWorkload tears down at once, without GOAWAY',
  source: 'facts, statement 38',
  eras: IN_POD,
  changesLab: true,
  check: tornDownAtOnce,
};
