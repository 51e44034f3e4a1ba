// Shows the way of a person who has a laptop that can run no lab, for real: `vagrant up`, then
// `npm run lab`, with libvirt and an emulated machine, so that no KVM is needed; the box is built from
// Debian's packages. All of it lives in namespaces and ends with them: `npm run vm`.
import { $, argv, echo, path } from 'zx';
import { buildBox } from './vm/box.ts';
import { cloneForLaptop, INSIDE, LAPTOP, Nest } from './vm/nest.ts';
import { Stages } from './vm/stage.ts';

const ROOT = path.dirname(import.meta.dirname);
const FOLDER = path.resolve(String(argv['folder'] ?? path.join(ROOT, 'build', 'vm')));
const BOX = 'ambient-lab-bookworm';
/** What the VM is made with; see the head of the Vagrantfile. */
const SETTINGS = {
  AMBIENT_LAB_BOX: BOX,
  AMBIENT_LAB_CPUS: '2',
  AMBIENT_LAB_MEMORY_MB: String(argv['memory'] ?? 3072),
  AMBIENT_LAB_LIBVIRT_DRIVER: 'qemu',
  VAGRANT_DEFAULT_PROVIDER: 'libvirt',
  VAGRANT_HOME: `${INSIDE}/${LAPTOP}/.vagrant.d`,
};

$.verbose = true;
const stages = new Stages();
let exitCode = 1;
try {
  exitCode = await show();
} finally {
  echo(`\n${stages.table()}`);
}
process.exitCode = exitCode;

async function show(): Promise<number> {
  const packages = await labPackages();
  const box = await stages.run('a box from Debian packages', () =>
    buildBox({ folder: path.join(FOLDER, 'box'), packages }),
  );
  await stages.run('a clone, as on a laptop', () => cloneForLaptop(ROOT, FOLDER));
  await using nest = await Nest.open(FOLDER);
  const laptop = [
    ...nest.enter(LAPTOP),
    ...Object.entries(SETTINGS).map((entry) => entry.join('=')),
  ];
  await stages.run('libvirt', () => startLibvirt(nest));
  const bind = `mount --bind ${ROOT}/node_modules ${INSIDE}/${LAPTOP}/ambient-lab/node_modules`;
  await $`${nest.enter()} sh -c ${`${bind} && mount -o remount,ro,bind ${INSIDE}/${LAPTOP}/ambient-lab/node_modules`}`;
  await $`${laptop} vagrant box add --force --name ${BOX} ${`${INSIDE}/box/${path.basename(box)}`}`;
  await stages.run('vagrant up', () => $`${laptop} vagrant up --no-color`);
  await stages.run('npm run lab, the first time', () => $`${laptop} npm run lab`);
  const again = await stages.run(
    'npm run lab, again',
    () => $({ nothrow: true })`${laptop} npm run lab`,
  );
  const doctor = 'cd /vagrant && uname -r && node --version && sudo ls results/baselines | wc -l';
  await stages.run('in the machine', () => $`${laptop} vagrant ssh --command ${doctor}`);
  await $({ nothrow: true })`ls ${path.join(FOLDER, LAPTOP, 'ambient-lab', 'results')}`;
  await stages.run('vagrant destroy', () => $`${laptop} vagrant destroy --force`);
  return again.exitCode ?? 1;
}

async function startLibvirt(nest: Nest): Promise<void> {
  const socket = (name: string) => async () =>
    (await $({ nothrow: true, quiet: true })`${nest.enter()} test -S /run/libvirt/${name}`)
      .exitCode === 0;
  await nest.startDaemon('virtlogd', FOLDER, socket('virtlogd-sock'));
  await nest.startDaemon('libvirtd', FOLDER, socket('libvirt-sock'));
}

/** What set-up installs for a lab, from its own list. */
async function labPackages(): Promise<readonly string[]> {
  const file = path.join(import.meta.dirname, 'packages.mjs');
  const { PROGRAMS, LAB_PROGRAMS, HEADERS } = (await import(file)) as {
    readonly PROGRAMS: Readonly<Record<string, readonly [string, string]>>;
    readonly LAB_PROGRAMS: readonly string[];
    readonly HEADERS: Readonly<Record<string, readonly [string, string]>>;
  };
  const names = LAB_PROGRAMS.flatMap((program) => PROGRAMS[program]?.[0] ?? []);
  return [...new Set([...names, ...Object.values(HEADERS).map(([name]) => name)])];
}
