import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import t from 'tap';

const ROOT = join(import.meta.dirname, '..', '..');
const HOUSE = ['dataplane', 'lab', 'topologies', 'scripts'] as const;

/** Who may import what, beside itself. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  dataplane: [],
  topologies: [],
  lab: ['dataplane', 'topologies'],
  scripts: ['lab', 'dataplane', 'topologies'],
};

/** Libraries that have one owner, so that replacing one is a local change. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  execa: ['lab/hosts/run.ts'],
  'pcap-parser': ['lab/capture/tcpdump.ts'],
  'iptables-parser': ['dataplane/redirect/cross-check.ts'],
  zx: ['scripts/'],
  ssh2: ['lab/hosts/'],
  listr2: ['lab/cli/progress.ts'],
  commander: ['lab/cli/', 'scripts/'],
};

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

const files = HOUSE.flatMap((folder) => listSources(folder));
const imports = files.flatMap((file) => importsOf(file));

t.test('imports go one way: scripts → lab → { dataplane, topologies }', async (t) => {
  t.ok(imports.length > 100, 'imports were found at all');
  for (const { from, specifier } of imports.filter(isOurs)) {
    const [source = '', target = ''] = [from, resolveImport(from, specifier)].map(
      (p) => p.split('/')[0],
    );
    if (source === target) continue;
    t.ok(LAYERS[source]?.includes(target), `${from} may import ${specifier}`);
  }
});

t.test('no two modules need each other to load', async (t) => {
  const graph = new Map<string, string[]>();
  for (const entry of imports.filter(isOurs)) {
    if (entry.isTypeOnly) continue;
    const targets = graph.get(entry.from) ?? [];
    graph.set(entry.from, [...targets, resolveImport(entry.from, entry.specifier)]);
  }
  t.same(findCycle(graph), [], 'no cycle of imports');
  t.same(
    findCycle(
      new Map([
        ['a', ['b']],
        ['b', ['a']],
      ]),
    ),
    ['a', 'b', 'a'],
    'a cycle would be found',
  );
});

t.test('libraries with one owner are imported by nobody else', async (t) => {
  for (const { from, specifier } of imports) {
    const owners = OWNERS[specifier];
    if (owners)
      t.ok(
        owners.some((owner) => from.startsWith(owner)),
        `${from} imports ${specifier}`,
      );
  }
});

t.test('every room of the house is named in ARCHITECTURE.md', async (t) => {
  const text = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  const rooms = new Set(files.map((file) => file.split('/').slice(0, -1).slice(0, 2).join('/')));
  for (const room of rooms) t.match(text, `\`${room}\``, `${room} is named`);
  for (const [, named = ''] of text.matchAll(/`((?:dataplane|lab)\/[a-z-]+)`/g)) {
    t.ok(rooms.has(named), `${named} exists`);
  }
});

function listSources(folder: string): string[] {
  return readdirSync(join(ROOT, folder)).flatMap((name) => {
    const path = `${folder}/${name}`;
    if (statSync(join(ROOT, path)).isDirectory()) return listSources(path);
    return name.endsWith('.ts') ? [path] : [];
  });
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const found = [...text.matchAll(/^(?:import|export)\s+(type\s)?[^;'"]*?from\s+'([^']+)';/gm)];
  const bare = [...text.matchAll(/^import\s+'([^']+)';/gm)];
  return [
    ...found.map(([, type, specifier = '']) => ({
      from: file,
      specifier,
      isTypeOnly: type !== undefined,
    })),
    ...bare.map(([, specifier = '']) => ({ from: file, specifier, isTypeOnly: false })),
  ];
}

function isOurs({ specifier }: Import): boolean {
  return specifier.startsWith('.');
}

function resolveImport(from: string, specifier: string): string {
  return normalize(join(dirname(from), specifier));
}

/** The first cycle found, closed, or nothing. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const walk = (node: string, trail: readonly string[]): string[] => {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    if (done.has(node)) return [];
    for (const next of graph.get(node) ?? []) {
      const cycle = walk(next, [...trail, node]);
      if (cycle.length > 0) return cycle;
    }
    done.add(node);
    return [];
  };
  for (const node of graph.keys()) {
    const cycle = walk(node, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
