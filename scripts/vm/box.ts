import { access, cp, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { $, path } from 'zx';

/** What a Vagrant box is made of here: Debian's own packages, and Node of this machine. */
export interface BoxOptions {
  readonly folder: string;
  /** Debian packages that set-up would install: in the box nothing is missing. */
  readonly packages: readonly string[];
}

const SUITE = 'bookworm';
const DISK_BYTES = 8 * 1024 ** 3;
const FIRST_SECTOR = 2048;
const SECTOR_BYTES = 512;
const BASE = [
  ...['linux-image-cloud-amd64', 'initramfs-tools', 'systemd-sysv', 'udev', 'dbus', 'kmod'],
  ...['openssh-server', 'sudo', 'rsync', 'ca-certificates', 'libstdc++6', 'libatomic1', 'git'],
];
/** Nothing that a VM of an hour needs, and minutes of an emulated processor. */
const SLEEPING = [
  ...['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'fstrim.timer'],
  ...['e2scrub_all.timer', 'e2scrub_reap.service', 'systemd-timesyncd.service'],
];

/**
 * Builds a box for libvirt without loop devices and without anything but Debian's packages: a tree by
 * mmdebstrap, a file system made from it, GRUB written in front. Gives the file to add.
 */
export async function buildBox({ folder, packages }: BoxOptions): Promise<string> {
  const box = path.join(folder, 'lab.box');
  if (await exists(box)) return box;
  const tree = path.join(folder, 'tree');
  await remove(tree);
  await mkdir(folder, { recursive: true });
  const include = [...BASE, ...packages].join(',');
  // What mmdebstrap mounts ends with its own mount namespace.
  await $`unshare --mount mmdebstrap --mode=root --variant=minbase --include=${include} ${SUITE} ${tree}`;
  await customise(tree);
  const disk = path.join(folder, 'disk.raw');
  await makeDisk(tree, disk, folder);
  await $`qemu-img convert -O qcow2 ${disk} ${path.join(folder, 'box.img')}`;
  const metadata = { provider: 'libvirt', format: 'qcow2', virtual_size: DISK_BYTES / 1024 ** 3 };
  await put(path.join(folder, 'metadata.json'), JSON.stringify(metadata));
  await put(path.join(folder, 'Vagrantfile'), '');
  await $`tar -cf ${box} -C ${folder} metadata.json Vagrantfile box.img`;
  await remove(tree, disk, path.join(folder, 'box.img'));
  return box;
}

async function customise(tree: string): Promise<void> {
  const at = (name: string): string => path.join(tree, name);
  await $`chroot ${tree} useradd --create-home --shell /bin/bash vagrant`;
  await put(at('etc/sudoers.d/vagrant'), 'vagrant ALL=(ALL) NOPASSWD: ALL\n');
  const [key = ''] =
    (await $`dpkg -L vagrant`.quiet()).stdout.match(/^.*\/keys\/vagrant\.pub$/m) ?? [];
  await cp(key, at('home/vagrant/.ssh/authorized_keys'));
  await $`chroot ${tree} chown -R vagrant:vagrant /home/vagrant/.ssh`;
  await $`chmod 700 ${at('home/vagrant/.ssh')}`;
  await put(at('etc/systemd/network/eth0.network'), '[Match]\nName=eth*\n[Network]\nDHCP=ipv4\n');
  await $`chroot ${tree} systemctl enable systemd-networkd ssh`;
  await $`chroot ${tree} systemctl mask ${SLEEPING}`;
  // The resolver of slirp4netns, which is this VM's way out.
  await put(at('etc/resolv.conf'), 'nameserver 10.0.2.3\n');
  await put(at('etc/fstab'), '/dev/vda1 / ext4 rw,noatime 0 1\n');
  await put(at('etc/ssh/sshd_config.d/lab.conf'), 'UseDNS no\n');
  await copyNode(tree);
  await trustAsHere(tree);
  const [kernel = ''] = (await readdir(at('boot'))).filter((name) => name.startsWith('vmlinuz-'));
  const release = kernel.slice('vmlinuz-'.length);
  await put(
    at('boot/grub/grub.cfg'),
    `linux /boot/${kernel} root=/dev/vda1 rw net.ifnames=0 mitigations=off quiet console=ttyS0\ninitrd /boot/initrd.img-${release}\nboot\n`,
  );
}

/** Node and npm as they are here; Debian's own is too old. */
async function copyNode(tree: string): Promise<void> {
  const modules = (await $`npm root --global`).stdout.trim();
  await cp(process.execPath, path.join(tree, 'usr/bin/node'));
  const npm = path.join(tree, 'usr/lib/node_modules/npm');
  await cp(path.join(modules, 'npm'), npm, { recursive: true, verbatimSymlinks: true });
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', path.join(tree, 'usr/bin/npm'));
  await symlink('../lib/node_modules/npm/bin/npx-cli.js', path.join(tree, 'usr/bin/npx'));
}

/** Certificates and settings without which npm and apt may not get out of here. */
async function trustAsHere(tree: string): Promise<void> {
  for (const file of ['/usr/local/share/ca-certificates', '/usr/etc/npmrc'])
    if (await exists(file)) await cp(file, path.join(tree, file), { recursive: true });
  await $`chroot ${tree} update-ca-certificates`.quiet();
}

/** An MBR with one partition, its file system made straight from the tree, and GRUB in the gap. */
async function makeDisk(tree: string, disk: string, folder: string): Promise<void> {
  await remove(disk);
  await $`truncate -s ${DISK_BYTES} ${disk}`;
  await $({ input: `${FIRST_SECTOR},,83,*\n` })`sfdisk --quiet --label dos ${disk}`;
  const offset = FIRST_SECTOR * SECTOR_BYTES;
  const kilobytes = (DISK_BYTES - offset) / 1024;
  await $`mke2fs -q -t ext4 -d ${tree} -E ${`offset=${offset}`} ${disk} ${`${kilobytes}k`}`;
  const core = path.join(folder, 'core.img');
  const modules = 'biosdisk part_msdos ext2 linux normal configfile boot test'.split(' ');
  await $`grub-mkimage -O i386-pc -p ${'(hd0,msdos1)/boot/grub'} -o ${core} ${modules}`;
  await $`dd if=/usr/lib/grub/i386-pc/boot.img of=${disk} bs=440 count=1 conv=notrunc status=none`;
  await $`dd if=${core} of=${disk} bs=512 seek=1 conv=notrunc status=none`;
  await remove(core);
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

async function put(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
}

async function remove(...files: readonly string[]): Promise<void> {
  for (const file of files) await rm(file, { recursive: true, force: true });
}
