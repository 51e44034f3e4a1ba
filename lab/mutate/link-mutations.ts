import type { TunnelLink } from '../../dataplane/redirect/rule.ts';
import type { Lab } from '../world/lab.ts';
import type { Mutation } from './mutation.ts';
import { inPlace } from '../world/in-place.ts';
import type { MutablePlace, PlaceGroup } from './places.ts';

/** A VNI that no tunnel of the era has. */
const OTHER_VNI = 999;

/** The tunnels of era geneve: set down, removed, and made anew with another VNI. */
export function linkMutations({ prefix, places }: PlaceGroup): readonly Mutation[] {
  return places.flatMap((place) =>
    (place.wanted?.links ?? []).flatMap((link) => {
      const base = (change: string) => ({
        id: `${prefix}link ${link.name} | ${change}`,
        kind: 'link' as const,
        change,
        where: 'link',
        text: `${link.name}, Geneve VNI ${link.vni} to ${link.remote}:${link.port}`,
        why: link.why,
        places: [place.place],
        restore: (lab: Lab) => renew(lab, place),
      });
      const { name } = link;
      return [
        { ...base('down'), apply: (lab: Lab) => ip(lab, place, ['link', 'set', name, 'down']) },
        { ...base('removed'), apply: (lab: Lab) => ip(lab, place, ['link', 'del', name]) },
        {
          ...base(`VNI ${OTHER_VNI}`),
          apply: (lab: Lab) => changeVni(lab, place, link),
        },
      ] satisfies readonly Mutation[];
    }),
  );
}

async function ip(lab: Lab, { place }: MutablePlace, argv: readonly string[]): Promise<void> {
  await inPlace(lab, place, ['ip', ...argv]);
}

/** The same device and the same routes, with another VNI; the other end keeps its own. */
async function changeVni(lab: Lab, place: MutablePlace, link: TunnelLink): Promise<void> {
  const { name, remote, port, address } = link;
  const isVxlan = place.state.links.includes(`${name} vxlan `);
  await ip(lab, place, ['link', 'del', name]);
  const kind = isVxlan ? ['vxlan', 'nolearning'] : ['geneve'];
  const [type = '', ...options] = kind;
  const end = ['id', String(OTHER_VNI), 'remote', remote, 'dstport', String(port)];
  await ip(lab, place, ['link', 'add', name, 'type', type, ...end, ...options]);
  await ip(lab, place, ['address', 'add', address, 'dev', name]);
  await ip(lab, place, ['link', 'set', name, 'up']);
  await inPlace(lab, place.place, ['sysctl', '-qw', ...settingsOfLink(place, name)]);
  for (const route of routesOver(place, name)) await ip(lab, place, ['route', 'replace', ...route]);
}

function settingsOfLink({ wanted }: MutablePlace, link: string): readonly string[] {
  return (wanted?.sysctls ?? [])
    .filter(({ key }) => key.includes(`/${link}/`))
    .map(({ key, value }) => `${key}=${value}`);
}

/** Routes that the kernel takes away with a link, and does not make itself. */
function routesOver({ state }: MutablePlace, link: string): readonly (readonly string[])[] {
  return state.routes
    .split('\n')
    .filter((line) => line.includes(` dev ${link} `) && !/ proto kernel|^broadcast/.test(line))
    .map((line) => line.trim().split(/\s+/));
}

/**
 * The agent puts links, routes and settings right, as it does whenever a pod is enrolled. What the
 * ends know of each other's Ethernet addresses is forgotten: a device that was made anew has another.
 */
async function renew(lab: Lab, { place }: MutablePlace): Promise<void> {
  const node = place.replace(/^ztunnel\//, '');
  const { pods } = await lab.status();
  const pod = pods.find((each) => each.node === node && each.enrolled);
  if (pod !== undefined) await lab.enrol(`${pod.namespace}/${pod.name}`);
  const ends = [
    { at: node, links: ['istioin', 'istioout'] },
    { at: `ztunnel/${node}`, links: ['pistioin', 'pistioout'] },
  ];
  for (const { at, links } of ends) {
    for (const link of links) await inPlace(lab, at, ['ip', 'neigh', 'flush', 'dev', link]);
  }
}
