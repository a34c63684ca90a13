#!/usr/bin/env bash
# standins.sh FOLDER: what the compose test needs where no image registry can be reached.
#
# Makes one Debian tree with Prometheus, Alertmanager, nginx, MariaDB and curl in FOLDER, imports it into the Docker
# daemon, and tags images made from it with the public names of compose.yaml, so that `--pull never` finds them. They
# stand in for the public images in tests only. FOLDER also gets the compose and buildx plugins (FOLDER/docker is a
# DOCKER_CONFIG), those of the folder BONGSU_DOCKER_PLUGINS where it is set. BONGSU_STANDINS_TREE is a
# tree that another FOLDER has already. A second run finds everything there and takes a second.
set -euo pipefail
folder=${1:?usage: standins.sh FOLDER}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
suite=trixie
base=bongsu-standin/base:$suite-2
mkdir -p "$folder/docker/cli-plugins"
export DOCKER_CONFIG=$folder/docker

fail() { echo "standins: $*" >&2; exit 1; }
# Pinned names as compose.yaml has them: stand-ins follow the file.
image_of() { sed -nE "s,^    image: (&[a-z]+ )?($1:[^ ]*)\$,\2,p" "$root/deploy/compose.yaml" "$root/deploy/swarm/stack.yaml" | head -n 1; }

tree=${BONGSU_STANDINS_TREE:-$folder/tree}
make_tree() {
  local mirror
  mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ') || true
  [ -n "$mirror" ] || fail "this machine's apt sources name no Debian mirror"
  command -v debootstrap >/dev/null || fail "debootstrap is missing"
  if [ ! -e "$tree/.complete-2" ]; then
    rm -rf "${tree:?}"
    debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg $suite "$tree" "$mirror" >"$folder/debootstrap.log" 2>&1 ||
      { tail -n 5 "$folder/debootstrap.log" >&2; fail "debootstrap could not fetch Debian $suite"; }
    printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
    chmod 755 "$tree/usr/sbin/policy-rc.d"
    printf 'path-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n' >"$tree/etc/dpkg/dpkg.cfg.d/small"
    cp /etc/resolv.conf "$tree/etc/resolv.conf"
    if ! DEBIAN_FRONTEND=noninteractive chroot "$tree" sh -c 'apt-get -q update && apt-get -q -o Acquire::Retries=3 install -y --no-install-recommends \
        prometheus prometheus-alertmanager nginx-light mariadb-server mariadb-client curl wordpress libapache2-mod-php php-mysql apache2 postgresql &&
        cd /tmp && apt-get -q download docker-compose docker-buildx && apt-get clean && rm -rf /var/lib/mysql/* /var/lib/apt/lists/*' >"$folder/apt.log" 2>&1 </dev/null; then
      tail -n 5 "$folder/apt.log" >&2
      fail "apt could not install the programs of the stand-in images"
    fi
    touch "$tree/.complete-2"
  fi
}

if [ ! -x "$folder/docker/cli-plugins/docker-compose" ] || ! docker image inspect "$base" >/dev/null 2>&1; then
  make_tree
  for package in "$tree"/tmp/docker-{compose,buildx}_*.deb; do dpkg-deb -x "$package" "$folder/plugins"; done
  cp "$folder"/plugins/usr/libexec/docker/cli-plugins/* "$folder/docker/cli-plugins/"
  tar -C "$tree" --exclude=./tmp/* --exclude=./proc/* --exclude=./sys/* --exclude=./dev/* -c . | docker import - "$base" >/dev/null
fi
[ -z "${BONGSU_DOCKER_PLUGINS:-}" ] || cp "$BONGSU_DOCKER_PLUGINS"/docker-{compose,buildx} "$folder/docker/cli-plugins/"
docker compose version >/dev/null || fail "the compose plugin does not run"

build() { # IMAGE TARGET
  [ -n "$1" ] || fail "compose.yaml has no image for stand-in $2"
  DOCKER_BUILDKIT=1 docker build -q --build-arg "BASE=$base" --target "$2" -t "$1" -f "$here/standins.Dockerfile" "$here" >/dev/null || fail "building $1 failed"
}
build "$(image_of prom/prometheus)" prometheus
build "$(image_of prom/alertmanager)" alertmanager
build "$(image_of nginx)" nginx
build "$(image_of mariadb)" mariadb
build "$(image_of wordpress)" wordpress
build "$(image_of postgres)" postgres
docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep -E '^(prom/|nginx:|mariadb:|wordpress:|postgres:)'
