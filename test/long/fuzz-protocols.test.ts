import { join } from 'node:path';
import t from 'tap';
import { holdCampaigns } from './support/run-campaigns.ts';

const codecs = join(import.meta.dirname, 'support/protocol-targets.ts');
const live = join(import.meta.dirname, 'support/live-hbone-targets.ts');

holdCampaigns(t, [
  { module: live, target: 'hboneServer', count: 5_000 },
  { module: live, target: 'hboneClient', count: 5_000 },
  { module: codecs, target: 'zdsRequest', count: 100_000 },
  { module: codecs, target: 'zdsAnswer', count: 100_000 },
  { module: codecs, target: 'dns', count: 100_000 },
  { module: codecs, target: 'hboneFrames', count: 100_000 },
  { module: codecs, target: 'evidence', count: 50_000 },
]);
