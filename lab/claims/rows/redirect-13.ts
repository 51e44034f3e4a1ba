import type { Claim } from '../claim.ts';
import { marksChooseTables } from '../checks/node-rules.ts';

/** See `statement`. */
export const redirect13: Claim = {
  id: 'redirect-13',
  statement: 'fwmark rules: 0x200 main, 0x100 table 101, 0x40 table 102, others table 100 and main',
  source: 'facts, statement 13',
  eras: ['geneve'],
  check: marksChooseTables,
};
