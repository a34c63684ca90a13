#!/bin/bash
# boot.sh TREE FOLDER: in namespaces of its own (packages.sh makes them), boots systemd on a throw-away layer over TREE.
# What is written stays in FOLDER; the network has nothing but its own loopback.
set -e
tree=$1 folder=$2 root=$2/root
mount --make-rprivate /
mkdir -p "$folder"/{up/etc/systemd/system,work,root}
ln -sf /dev/null "$folder/up/etc/systemd/system/getty.target"
# As every installed Debian has it; debootstrap leaves it to the installer.
printf '127.0.0.1 localhost\n::1 localhost\n' >"$folder/up/etc/hosts"
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$folder/up,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
# On a host with cgroup v1 systemd keeps its own named hierarchy; on v2 the namespace has its part of the one tree.
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  mkdir "$root/sys/fs/cgroup/systemd"
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
fi
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts" "$root/oldroot"
ln -s /proc/self/fd "$root/dev/fd"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ip link set lo up
cd "$root"
pivot_root . oldroot
umount -l /oldroot
# Called by the kernel systemd does this itself; in a container it is the manager's to do. Credentials are mounted in a namespace of
# their own and reach the services by propagation.
mount --make-rshared /
exec env -i container=bongsu-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=multi-user.target --show-status=no </dev/null
