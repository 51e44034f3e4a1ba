import { type Claim, IN_POD } from '../claim.ts';
import { markSelectsTable100 } from '../checks/pod-state.ts';

/** See `statement`. */
export const rule02: Claim = {
  id: 'rule-02',
  statement:
    'The mark 0x111/0xfff selects table 100, whose only route is local, and inbound needs both',
  source: 'field notes',
  eras: IN_POD,
  changesLab: true,
  check: markSelectsTable100,
};
