#!/usr/bin/env bash
# run.sh CACHE BINARIES TESTS: what needs another kernel than the host's, in a machine that qemu emulates: Debian's newest kernel
# with cgroup v2 and ESP, systemd, and Docker with the systemd driver. Runs TESTS, the compiled tests/tests/container.rs, and
# sends packets through an encrypted overlay network (inside.sh). Slow: everything is emulated.
set -uo pipefail
cache=$(realpath -m "${1:?usage: run.sh CACHE BINARIES TESTS}")
bins=${2:?usage: run.sh CACHE BINARIES TESTS}
tests=${3:?usage: run.sh CACHE BINARIES TESTS}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
tree=$cache/tree
disk=$cache/disk.img
mkdir -p "$cache"
skip() { echo "skipped: $*"; exit 77; }
[ "$(uname -m)" = x86_64 ] || skip "the emulated machine is an x86_64"
for tool in qemu-system-x86_64 debootstrap mke2fs debugfs; do command -v $tool >/dev/null || skip "$tool is missing (apt-get install qemu-system-x86 debootstrap e2fsprogs)"; done

if [ ! -e "$tree/.complete" ]; then
  mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ')
  [ -n "$mirror" ] || skip "this machine's apt sources name no Debian mirror"
  rm -rf "${tree:?}"
  debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg sid "$tree" "$mirror" >"$cache/debootstrap.log" 2>&1 ||
    { tail -n 5 "$cache/debootstrap.log"; skip "debootstrap could not fetch Debian sid"; }
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
  chmod 755 "$tree/usr/sbin/policy-rc.d"
  echo 'Acquire::Check-Valid-Until "false";' >"$tree/etc/apt/apt.conf.d/99valid"
  cp /etc/resolv.conf "$tree/etc/resolv.conf"
  # Not every postinst is content without /proc; what is needed is checked by running it.
  DEBIAN_FRONTEND=noninteractive chroot "$tree" sh -c 'apt-get -q update && apt-get -q -o Acquire::Retries=3 install -y --no-install-recommends systemd-sysv initramfs-tools zstd kmod udev dbus \
    linux-image-cloud-amd64 docker.io docker-cli iptables iproute2 busybox-static ca-certificates curl' >"$cache/apt.log" 2>&1 </dev/null
  chroot "$tree" apt-get clean
  if ! { cp "$tree"/boot/vmlinuz-* "$cache/vmlinuz" && cp "$tree"/boot/initrd.img-* "$cache/initrd" && test -x "$tree/usr/sbin/dockerd"; }; then
    tail -n 5 "$cache/apt.log"
    skip "apt could not install the machine's programs"
  fi
  : >"$tree/etc/fstab"
  printf '[Unit]\nAfter=docker.service\n[Service]\nExecStart=/vmtest/inside.sh\nStandardOutput=null\n[Install]\nWantedBy=multi-user.target\n' >"$tree/etc/systemd/system/vmtest.service"
  chroot "$tree" systemctl -q enable vmtest.service docker.service containerd.service 2>/dev/null
  chroot "$tree" systemctl -q mask serial-getty@ttyS0.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer 2>/dev/null
  chroot "$tree" systemctl -q set-default multi-user.target 2>/dev/null
  touch "$tree/.complete"
fi
rm -rf "${tree:?}/vmtest"
mkdir "$tree/vmtest"
cp "$bins/container-exporter" "$root/tests/lab/check.sh" "$here/inside.sh" "$tree/vmtest/" && cp "$tests" "$tree/vmtest/container" || exit 1
chmod 755 "$tree"/vmtest/*
rm -f "$disk"
mke2fs -q -t ext4 -d "$tree" "$disk" 5G >/dev/null || exit 1

timeout 2400 nice -n 5 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 2560 -smp 2 -nographic -no-reboot -nic none -kernel "$cache/vmlinuz" -initrd "$cache/initrd" \
  -drive "file=$disk,if=virtio,format=raw,cache=unsafe" -append "root=/dev/vda rw console=ttyS0 panic=1 quiet" >"$cache/console.log" 2>&1 </dev/null
debugfs -R "cat /vmtest/result" "$disk" 2>/dev/null >"$cache/result"
rm -f "$disk"
cat "$cache/result"
grep -q '^test result: ok' <(tail -n 1 "$cache/result") || { tail -n 5 "$cache/console.log" | tr -d '\033'; exit 1; }
