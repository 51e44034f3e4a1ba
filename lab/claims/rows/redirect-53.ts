import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const redirect53: Claim = {
  id: 'redirect-53',
  statement:
    'Converted policies: DENY by L7 alone never fires, mixed ones deny too much, ALLOW loses the rule',
  source: 'facts, statement 53',
  eras: IN_POD,
  needs: 'a control plane of our own',
};
