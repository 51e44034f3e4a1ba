#!/bin/bash
# First program of a user-mode Linux whose root is the machine's own, read-only. What is written goes
# to memory, except for the folder of the run, which is writable at /tmp/run and holds script.sh.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm /run/netns /tmp/modules/lib /tmp/bin /tmp/run
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -sf /proc/self/fd /dev/fd

# The kernel loads its modules from where Debian's package has them.
ln -s /usr/lib/uml/modules /tmp/modules/lib/modules
printf '#!/bin/sh\nexec /sbin/modprobe -d /tmp/modules "$@"\n' > /tmp/bin/modprobe
chmod +x /tmp/bin/modprobe
echo /tmp/bin/modprobe > /proc/sys/kernel/modprobe

# Rings of io_uring, which newer libuv takes, break its page tables.
echo 2 > /proc/sys/kernel/io_uring_disabled

# Debian's user-mode kernel has no nf_tables families for iptables-nft.
for family in iptables ip6tables; do
  for form in '' -save -restore; do
    ln -s "/usr/sbin/$family-legacy$form" "/tmp/bin/$family$form"
  done
done
export PATH="/tmp/bin:$PATH"

# A part of the machine's own tree, writable. A mount(8) of the new interface names the option, one of
# the old interface passes the bare path.
mount_hostfs() { mount -t hostfs none "$2" -o "hostfs=$1" 2>/dev/null || mount -t hostfs none "$2" -o "$1"; }

# Programs of a project that lies under /tmp have just been hidden.
project=$(sed -n 's/.*\bproject=\(\S*\).*/\1/p' /proc/cmdline)
case "$project" in /tmp/*) mkdir -p "$project" && mount_hostfs "$project" "$project" ;; esac

folder=$(sed -n 's/.*\brun_folder=\(\S*\).*/\1/p' /proc/cmdline)
mount_hostfs "$folder" /tmp/run
ip link set lo up
cd /tmp
/bin/bash /tmp/run/script.sh > /tmp/run/stdout 2> /tmp/run/stderr < /dev/null
echo $? > /tmp/run/exit-code
sync
halt -f -d 2>/dev/null
