import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { connectByHand } from '../connect-by-hand.ts';
import { EvidenceMissing, settle } from '../finding.ts';
import { addressOf, statusFrom } from './ask.ts';
import { withWorkloadsFile } from './workloads-file.ts';

const LOADED_TIMEOUT_MS = 10_000;
const CONFIG_DUMP = ['curl', '-s', 'http://127.0.0.1:15000/config_dump'] as const;

/** CONNECT for another pod's address than the one dialled: 400; for the one dialled: 200. */
export async function wrongAuthority(world: ClaimWorld): Promise<Finding> {
  const [own, other] = [addressOf(world, 'far'), addressOf(world, 'near')];
  const authorities = [`${own}:8080`, `${other}:8080`];
  const seen = await connectByHand(world, {
    from: 'bystander',
    to: 'far',
    as: 'near',
    authorities,
  });
  const logged = await world.ztunnelLog('node2');
  const line = logged.find((each) => each.includes(`ip mismatch: ${own} != ${other}`)) ?? '';
  const text = `CONNECT to ${own}:15008 for ${authorities[0]}: ${seen[0]}; for ${authorities[1]}: ${seen[1]}`;
  return settle(seen.join() === '200,400' && line !== '', text, { evidence: [line] });
}

/** With a waypoint for one pod in the file that ztunnels read. */
async function withWaypoint<T>(
  world: ClaimWorld,
  { of, at }: { readonly of: string; readonly at: string },
  use: () => Promise<T>,
): Promise<T> {
  const uid = `  - uid: Kubernetes//Pod/demo/${of}\n`;
  const waypoint = `    waypoint:\n      destination: /${addressOf(world, at)}\n      hboneMtlsPort: 15008\n`;
  return withWorkloadsFile(world, async (text, replace) => {
    if (!text.includes(uid)) throw new EvidenceMissing(`a workload "demo/${of}" in ztunnel's file`);
    await replace(text.replace(uid, `${uid}${waypoint}`));
    return await use();
  });
}

/** What has a waypoint: 401 for another client, 200 for the waypoint's identity. */
export async function bypassRefused(world: ClaimWorld): Promise<Finding> {
  const authorities = [`${addressOf(world, 'far')}:8080`];
  const ask = async (as: string) =>
    (await connectByHand(world, { from: 'bystander', to: 'far', as, authorities }))[0];
  const before = await ask('client');
  const [other, waypoint] = await withWaypoint(world, { of: 'far', at: 'near' }, async () => {
    const deadline = performance.now() + LOADED_TIMEOUT_MS;
    let seen = await ask('client');
    while (seen !== 401 && performance.now() < deadline) seen = await ask('client');
    return [seen, await ask('near')] as const;
  });
  const line = (await world.ztunnelLog('node2')).find((each) => each.includes('bypassed waypoint'));
  const text = `CONNECT without a waypoint: ${before}; with one: ${other} for another client, ${waypoint} for the identity of the waypoint`;
  return settle([before, other, waypoint].join() === '200,401,200', text, {
    evidence: line === undefined ? [] : [line],
  });
}

/** Plain text for what has a waypoint: ztunnel's own CONNECT to the waypoint, and none to the pod. */
export async function plainTakesWaypoint(world: ClaimWorld): Promise<Finding> {
  const [own, waypoint] = [addressOf(world, 'far'), addressOf(world, 'near')];
  const ztunnel = world.lab.plan.nodes.find(({ name }) => name === 'node2')?.ztunnelAddress;
  let status = '';
  const { conversations } = await world.record('hairpin', () =>
    withWaypoint(world, { of: 'far', at: 'near' }, async () => {
      const deadline = performance.now() + LOADED_TIMEOUT_MS;
      const isLoaded = async () =>
        (await world.read('ztunnel/node2', ...CONFIG_DUMP)).includes(`"${waypoint}"`);
      while (!(await isLoaded()) && performance.now() < deadline) continue;
      status = await statusFrom(world, 'bystander', 'far');
    }),
  );
  const hairpin = conversations.find(
    ({ client, server }) =>
      client.address === ztunnel && server.address === waypoint && server.port === 15008,
  );
  const request = hairpin?.http2?.streams[0]?.request;
  const authority = request?.headers?.find(([name]) => name === ':authority')?.[1];
  const direct = conversations.filter(
    ({ client, server }) => client.address === ztunnel && server.address === own,
  );
  const text = `bystander → far: ${status}; ztunnel of node2 → ${hairpin === undefined ? 'no connection to the waypoint' : `${waypoint}:15008, authority ${authority ?? 'not readable'}`}; to the pod itself: ${direct.length}`;
  return settle(authority === `${own}:8080` && direct.length === 0, text, {
    frames: (hairpin?.sightings ?? []).map((one) => ({
      file: world.fileOf('hairpin', one.interface),
      frames: [one.firstFrame],
    })),
  });
}
