#!/usr/bin/env bash
# engines.sh FOLDER [SUITE]: the container engines of a newer Debian (sid) for tests, beside those of the system: Docker,
# containerd, runc, Podman, compose, buildx and kubectl. Nothing is installed on the host and nothing is started.
#
# FOLDER gets a Debian tree, copies of the programs that run with the tree's own loader and libraries (bin), the plugins, and
# `environment`, which is sourced to use them. A second run finds everything there.
set -euo pipefail
folder=$(realpath -m "${1:?usage: engines.sh FOLDER [SUITE]}")
suite=${2:-sid}
tree=$folder/tree
fail() { echo "engines: $*" >&2; exit 1; }
[ ! -e "$folder/.complete-$suite" ] || { cat "$folder/versions"; exit 0; }

mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ') || true
[ -n "$mirror" ] || fail "this machine's apt sources name no Debian mirror"
for tool in debootstrap patchelf readelf; do command -v $tool >/dev/null || fail "$tool is missing: apt-get install debootstrap patchelf binutils"; done
mkdir -p "$folder"
if [ ! -x "$tree/usr/bin/apt-get" ]; then
  debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$suite" "$tree" "$mirror" >"$folder/debootstrap.log" 2>&1 ||
    { rm -rf "${tree:?}/usr/bin/apt-get"; tail -n 5 "$folder/debootstrap.log" >&2; fail "debootstrap could not fetch Debian $suite"; }
fi
# A machine whose clock is ahead finds the suite's index too old.
echo 'Acquire::Check-Valid-Until "false";' >"$tree/etc/apt/apt.conf.d/99valid"
cp /etc/resolv.conf "$tree/etc/resolv.conf"
# Fetched and unpacked only: scripts of packages would set up services.
chroot "$tree" sh -c 'apt-get -q update && apt-get -q -o Acquire::Retries=3 install -y --no-install-recommends --download-only \
    docker.io docker-cli docker-compose docker-buildx containerd runc crun podman conmon netavark aardvark-dns kubernetes-client' >"$folder/apt.log" 2>&1 </dev/null ||
  { tail -n 5 "$folder/apt.log" >&2; fail "apt could not fetch the engines"; }
for package in "$tree"/var/cache/apt/archives/*.deb; do dpkg-deb -x "$package" "$tree"; done

rm -rf "${folder:?}/bin" "${folder:?}/plugins"
mkdir -p "$folder/bin" "$folder/plugins"
loader=$(realpath "$tree"/lib64/ld-linux-*.so.* "$tree"/lib/ld-linux-aarch64.so.1 2>/dev/null | head -n 1)
libraries=$(dirname "$(find "$tree/usr/lib" -maxdepth 2 -name libc.so.6 | head -n 1)")
# They start themselves again by their own path, so a wrapper around the loader will not do.
take() { # PROGRAM FOLDER
  cp "$1" "$2/"
  if readelf -lW "$1" | grep -q 'program interpreter'; then
    patchelf --force-rpath --set-interpreter "$loader" --set-rpath "$libraries:$libraries/systemd" "$2/${1##*/}"
  fi
}
for program in "$tree"/usr/bin/{docker,containerd,containerd-shim-runc-v2,ctr,crun,conmon,podman,docker-init,kubectl} "$tree"/usr/sbin/{dockerd,docker-proxy,runc} \
  "$tree"/usr/bin/{docker-proxy,runc} "$tree"/usr/lib/podman/{netavark,aardvark-dns}; do
  [ ! -x "$program" ] || take "$program" "$folder/bin"
done
for plugin in "$tree"/usr/libexec/docker/cli-plugins/*; do take "$plugin" "$folder/plugins"; done
printf '[engine]\nhelper_binaries_dir = ["%s"]\nconmon_path = ["%s"]\n' "$folder/bin" "$folder/bin/conmon" >"$folder/containers.conf"
cat >"$folder/environment" <<ENVIRONMENT
export PATH="$folder/bin:\$PATH" BONGSU_DOCKER_PLUGINS="$folder/plugins"
export CONTAINERS_CONF_OVERRIDE="$folder/containers.conf" PODMAN_IGNORE_CGROUPSV1_WARNING=1
ENVIRONMENT
# shellcheck source=/dev/null
(
  source "$folder/environment"
  for program in dockerd containerd runc podman "$folder/plugins/docker-compose"; do
    text=$("$program" --version)
    echo "${text%%$'\n'*}"
  done
) >"$folder/versions" || fail "the engines do not run here"
touch "$folder/.complete-$suite"
cat "$folder/versions"
