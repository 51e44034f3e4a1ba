import { join } from 'node:path';
import t from 'tap';
import { holdCampaigns } from './support/run-campaigns.ts';
import { TARGETS } from './support/wire-targets.ts';

const module = join(import.meta.dirname, 'support/wire-targets.ts');
/** Few mutated messages of a handshake make a whole one. */
const accepted = [0.001, 0.99] as const;

holdCampaigns(
  t,
  Object.keys(TARGETS).map((target) => ({ module, target, count: 100_000, accepted })),
);
