// What is installed from Debian, for whom and why; the only list of it.

/** Programs the jobs start, the Debian package that brings each, and what it is for. */
export const PROGRAMS = {
  ip: ['iproute2', 'network namespaces as people know them (ip netns exec)'],
  unshare: ['util-linux', 'the namespaces of the lab itself'],
  nsenter: ['util-linux', 'entering a pod'],
  'iptables-restore': ['iptables', 'redirect rules'],
  ipset: ['ipset', 'the set of probed pods on a node'],
  curl: ['curl', 'requests as a user makes them'],
  gcc: ['gcc', 'compiling the native addon'],
  tcpdump: ['tcpdump', 'taking over a running capture'],
  nft: ['nftables', 'redirect rules of era inpod-nft, Geneve tunnels where the kernel has none'],
  tshark: ['tshark', 'the oracle that our dissector is held against'],
  conntrack: ['conntrack', 'reading flows in tests'],
  haproxy: ['haproxy', 'the proxy pair that the data path is measured against'],
  wrk: ['wrk', 'a load generator that ours is held against'],
  hey: ['hey', 'another one, which paces itself'],
  iperf3: ['iperf3', 'loading tunnels with packets and bytes'],
  ping: ['iputils-ping', 'round trips through tunnels'],
  sysctl: ['procps', 'settings of namespaces in tests'],
  dig: ['bind9-dnsutils', 'questions to the DNS proxy in tests'],
  openssl: ['openssl', 'foreign certificates in tests'],
  python3: ['python3-minimal', 'a foreign program as a workload'],
  sshd: ['openssh-server', 'a real SSH server for --on, in namespaces of the tests'],
  sudo: ['sudo', 'becoming root on a machine as people do, in tests of --on'],
  vagrant: ['vagrant-libvirt', 'a VM as people make one, in `npm run vm`'],
  libvirtd: ['libvirt-daemon-system', 'what vagrant makes that VM with'],
  virsh: ['libvirt-clients', 'what vagrant asks libvirt with'],
  'qemu-system-x86_64': ['qemu-system-x86', 'the emulated machine of that VM'],
  'qemu-img': ['qemu-utils', 'the disk of that VM'],
  dnsmasq: ['dnsmasq-base', 'its addresses'],
  rsync: ['rsync', 'bringing the project into it'],
  slirp4netns: ['slirp4netns', 'its way out of a network namespace'],
  mmdebstrap: ['mmdebstrap', 'the box of that VM, from Debian packages'],
  sfdisk: ['fdisk', 'the partition of that box'],
  mke2fs: ['e2fsprogs', 'the file system of that box'],
  'grub-mkimage': ['grub-pc-bin', 'making that box bootable'],
  mn: ['mininet', 'the builder of networks that building a lab is measured against'],
  brctl: ['bridge-utils', 'the Linux bridge of Mininet'],
};
/** What some tests want and can do without: they are skipped, and say so, where it cannot be had. */
export const WELCOME = {
  'linux.uml': ['user-mode-linux', 'a second kernel, with geneve, for the tests of the fall-back'],
  modprobe: ['kmod', 'the modules of that kernel'],
  'chromium-headless-shell': [
    'chromium-headless-shell',
    'a browser that looks at HTML reports (64 MB to fetch, 225 MB installed)',
  ],
};

/** Files that are no programs. */
export const HEADERS = { '/usr/include/stdlib.h': ['libc6-dev', 'compiling the native addon'] };

/** What `npm run lab` starts. */
export const LAB_PROGRAMS = [
  'ip',
  'unshare',
  'nsenter',
  'iptables-restore',
  'ipset',
  'nft',
  'curl',
  'gcc',
];
/** What showing a VM for real starts, beside the lab. */
export const VM_PROGRAMS = [
  ...['vagrant', 'libvirtd', 'virsh', 'qemu-system-x86_64', 'qemu-img', 'dnsmasq', 'rsync'],
  ...['slirp4netns', 'mmdebstrap', 'sfdisk', 'mke2fs', 'grub-mkimage'],
];
/** What the tests start. */
export const TEST_PROGRAMS = [
  ...LAB_PROGRAMS,
  'tcpdump',
  'tshark',
  'conntrack',
  'ping',
  'sysctl',
  'dig',
  'openssl',
  'python3',
  'sshd',
  'sudo',
];
/**
 * Services that a package would start, by its name. Nobody shall be able to log in to a machine because
 * tests have run on it: they are masked before their package comes.
 */
export const MASKED = { 'openssh-server': ['ssh.service', 'ssh.socket'] };
