import type { ClaimWorld } from '../claim-world.ts';
import { EvidenceMissing } from '../finding.ts';

/** curl that says nothing but the status. */
export const CURL = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '2'];

/** Address of a pod by its name. @throws {EvidenceMissing} */
export function addressOf(world: ClaimWorld, pod: string): string {
  const found = world.lab.plan.pods.find(({ name }) => name === pod);
  if (found === undefined) throw new EvidenceMissing(`a pod "${pod}"`);
  return found.address;
}

/** What a place gets from a pod's app: `200`, or `curl exit 28` where nothing answers. */
export async function statusFrom(world: ClaimWorld, from: string, to: string): Promise<string> {
  const done = await world.run(from, [...CURL, `http://${addressOf(world, to)}:8080/get`]);
  return done.exitCode === 0 ? done.stdout : `curl exit ${done.exitCode}`;
}
