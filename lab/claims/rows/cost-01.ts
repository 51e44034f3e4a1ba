import { configurationGrowth } from '../checks/growth.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. What is generated needs no lab; it is asked with the other claims of sidecars. */
export const cost01: Claim = {
  id: 'cost-01',
  statement:
    'Configuration grows with n² for sidecars and with n for waypoints: 16 : 4, and 12,500 : 100',
  source: 'field notes',
  eras: ['sidecar', 'waypoint'],
  check: configurationGrowth,
};
