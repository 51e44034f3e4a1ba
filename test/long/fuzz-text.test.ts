import { join } from 'node:path';
import t from 'tap';
import { holdCampaigns } from './support/run-campaigns.ts';

const module = join(import.meta.dirname, 'support/text-targets.ts');

holdCampaigns(t, [
  { module, target: 'topologyLoader', count: 50_000 },
  { module, target: 'topologyLoader', count: 50_000, from: 50_000 },
  { module, target: 'staticFile', count: 100_000 },
  { module, target: 'iptablesSave', count: 100_000 },
  { module, target: 'nftListing', count: 30_000 },
]);
