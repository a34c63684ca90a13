# shellcheck shell=bash
# What the lab needs before anything runs: rights, packages, binaries, folders, configuration.
# shellcheck disable=SC2154  # root, lab_dir, port … come from base.sh

readonly lab_user=nobody
export DEBIAN_FRONTEND=noninteractive

become_root() { # ARGUMENTS of the command to run again
  [ "$EUID" -ne 0 ] || return 0
  command -v sudo >/dev/null || die "run this as root; sudo is not installed" "root로 실행하세요. sudo가 없습니다"
  exec sudo BONGSU_LAB_DIR="${BONGSU_LAB_DIR:+$lab_dir}" BONGSU_PORT_OFFSET="$offset" BONGSU_LANG="$language" \
    BONGSU_SKIP="${BONGSU_SKIP:-}" BONGSU_QUICK_RULES="${BONGSU_QUICK_RULES:-}" BONGSU_CARGO_PROFILE="${BONGSU_CARGO_PROFILE:-}" BONGSU_BIN_DIR="${BONGSU_BIN_DIR:-}" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-}" \
    "$root/lab" "$@"
}

# Installs packages without letting them start or enable a service: what the lab runs it starts itself, and what
# was there before stays as it was.
install_packages() {
  [ $# -gt 0 ] || return 0
  local policy=/usr/sbin/policy-rc.d made_policy='' log=$lab_dir/logs/apt.log package unit status=0
  local -a fresh=()
  command -v apt-get >/dev/null || die "missing: $*; this machine has no apt-get, install them by hand" "없는 것: $*. apt-get이 없으니 직접 설치하세요"
  mkdir -p "$lab_dir/logs"
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || fresh+=("$package")
  done
  [ ${#fresh[@]} -gt 0 ] || return 0
  progress "installing ${fresh[*]}" "설치 중: ${fresh[*]}"
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    made_policy=yes
  fi
  dpkg-query -W -f '${Package}\n' | sort >"$lab_dir/packages.before"
  {
    apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${fresh[@]}" ||
      { apt-get -q -o Acquire::Retries=3 update && apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${fresh[@]}"; }
  } >"$log" 2>&1 </dev/null || status=$?
  [ -z "$made_policy" ] || rm -f $policy
  if [ $status -ne 0 ]; then
    tail -n 5 "$log" >&2
    die "apt-get could not install ${fresh[*]}; the whole story is in $log" "apt-get 설치 실패: ${fresh[*]}. 자세한 내용은 $log"
  fi
  # New units would start at the next boot and take the lab's ports.
  dpkg-query -W -f '${Package}\n' | sort | comm -13 "$lab_dir/packages.before" - | while read -r package; do
    dpkg -L "$package" 2>/dev/null | { grep -E '^(/usr)?/lib/systemd/system/[^/@]+\.(service|timer)$' || true; } | while read -r unit; do
      case ${unit##*/} in
      prometheus* | nginx* | mariadb* | mysql* | exim*)
        if command -v systemctl >/dev/null; then
          systemctl disable "${unit##*/}" >/dev/null 2>&1 || true
        elif command -v deb-systemd-helper >/dev/null; then
          deb-systemd-helper disable "${unit##*/}" >/dev/null 2>&1 || true
        fi
        ;;
      esac
    done
  done
  rm -f "$lab_dir/packages.before"
}

# What is called by name, and the package that brings it.
needed_tools() {
  cat <<'TABLE'
curl curl
jq jq
ss iproute2
ps procps
setpriv util-linux
prometheus prometheus
promtool prometheus
prometheus-alertmanager prometheus-alertmanager
amtool prometheus-alertmanager
mariadbd mariadb-server-core
mariadb-install-db mariadb-server-core
mariadb mariadb-client-core
nginx nginx-light
TABLE
}
missing_packages() {
  local tool package
  needed_tools | while read -r tool package; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || echo "$package"
  done | sort -u
  # Asia/Seoul in alertmanager.yml; certificates for cargo.
  [ -e /usr/share/zoneinfo/Asia/Seoul ] || echo tzdata
}

version_at_least() { # HAVE NEED
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}
needed_rust() { sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml"; }

# As the user who called sudo, whose home holds the toolchain.
as_builder() {
  if [ "$EUID" -eq 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
    # shellcheck disable=SC2016
    runuser -u "$SUDO_USER" -- env CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-}" bash -lc '[ -n "$CARGO_TARGET_DIR" ] || unset CARGO_TARGET_DIR; [ ! -r ~/.cargo/env ] || . ~/.cargo/env; cd "$1" && shift && exec "$@"' bash "$root" "$@"
  else
    (
      [ -n "${CARGO_TARGET_DIR:-}" ] || unset CARGO_TARGET_DIR
      # shellcheck disable=SC1090,SC1091
      if ! command -v cargo >/dev/null && [ -r ~/.cargo/env ]; then . ~/.cargo/env; fi
      cd "$root" && exec "$@"
    )
  fi
}

check_cargo() {
  local have need
  need=$(needed_rust)
  have=$(as_builder cargo --version 2>/dev/null | awk '{print $2}') || have=''
  if [ -n "$have" ] && version_at_least "$have" "$need"; then return 0; fi
  if [ -z "$have" ]; then
    complain "cargo is missing; building the services takes Rust $need or newer. Two ways on:" \
      "cargo가 없습니다. 빌드에는 Rust $need 이상이 필요합니다. 두 가지 방법이 있습니다:"
  else
    complain "cargo is $have; building the services takes Rust $need or newer. Two ways on:" \
      "cargo가 $have 입니다. 빌드에는 Rust $need 이상이 필요합니다. 두 가지 방법이 있습니다:"
  fi
  say "  1. install or update it with rustup (https://rustup.rs), then ./lab up again" \
    "  1. rustup(https://rustup.rs)으로 설치하거나 올린 뒤 ./lab up" >&2
  say "  2. build nothing here: ./lab up --docker builds and runs the lab in containers" \
    "  2. 여기서 빌드하지 않기: ./lab up --docker" >&2
  return 1
}

cargo_profile=${BONGSU_CARGO_PROFILE:-release}
target_dir() {
  local folder=${CARGO_TARGET_DIR:-$root/target} profile=$cargo_profile
  [ "$profile" != dev ] || profile=debug
  printf '%s/%s' "$folder" "$profile"
}

build_services() {
  local service log=$lab_dir/logs/build.log
  local -a wanted=()
  for service in "${our_services[@]}"; do skipped "$service" || wanted+=("$service"); done
  if [ -n "${BONGSU_BIN_DIR:-}" ]; then
    install_binaries "$BONGSU_BIN_DIR" "${wanted[@]}"
    return
  fi
  check_cargo || exit 1
  command -v cc >/dev/null || install_packages gcc libc6-dev
  progress "building ${#wanted[@]} services (profile $cargo_profile; minutes the first time, seconds later)" \
    "서비스 ${#wanted[@]}개 빌드 중 (프로필 $cargo_profile; 처음에는 몇 분, 다음부터는 몇 초)"
  mkdir -p "$lab_dir/logs"
  # cargo's own lines are the progress: one a crate on a terminal, the last ones on failure.
  if [ -t 2 ]; then
    cargo_build_each "${wanted[@]}" 2> >(tee "$log" >&2) || die "the build failed" "빌드 실패"
  else
    local pid waited=0
    cargo_build_each "${wanted[@]}" >"$log" 2>&1 </dev/null &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
      sleep 1
      waited=$((waited + 1))
      if [ $((waited % 15)) -eq 0 ]; then
        progress "  still building: $(grep -c Compiling "$log" || true) crates so far" "  빌드 중: 크레이트 $(grep -c Compiling "$log" || true)개"
      fi
    done
    wait $pid || { tail -n 30 "$log" >&2; die "the build failed; the whole story is in $log" "빌드 실패. 자세한 내용은 $log"; }
  fi
  install_binaries "$(target_dir)" "${wanted[@]}"
}

# A call each: in one call, all of them get the features that any of them asks for, and are up to 600 KB larger.
cargo_build_each() { # SERVICE...
  local service
  for service in "$@"; do as_builder cargo build --profile "$cargo_profile" -p "$service" || return 1; done
}

# Copies, so that a rebuild never pulls a running program away, and unprivileged users can read them.
install_binaries() { # FOLDER SERVICE...
  local folder=$1 service
  shift
  mkdir -p "$lab_dir/bin"
  for service in "$@"; do
    [ -x "$folder/$service" ] || die "$folder/$service is not there" "$folder/$service 파일이 없습니다"
    if ! cmp -s "$folder/$service" "$lab_dir/bin/$service"; then
      cp "$folder/$service" "$lab_dir/bin/.$service.new"
      chmod 755 "$lab_dir/bin/.$service.new"
      mv "$lab_dir/bin/.$service.new" "$lab_dir/bin/$service"
    fi
  done
}

# A program that cannot even say its version is not ready to be part of the lab.
usable() { # SERVICE
  skipped "$1" && return 1
  [ -x "$lab_dir/bin/$1" ] && [ -n "$(timeout 5 "$lab_dir/bin/$1" --version 2>&1 </dev/null | head -n 1)" ]
}

prepare_folders() {
  # A home folder closed to others cannot hold what unprivileged services read.
  local folder=$lab_dir parent
  mkdir -p "$folder"
  if ! setpriv --reuid "$lab_user" --regid nogroup --clear-groups test -x "$folder" 2>/dev/null; then
    [ -z "${BONGSU_LAB_DIR:-}" ] || die "user $lab_user cannot enter $folder; choose another BONGSU_LAB_DIR" "$lab_user 사용자가 $folder 에 들어갈 수 없습니다. BONGSU_LAB_DIR를 바꾸세요"
    parent=/var/lib/bongsu-lab
    progress "user $lab_user cannot enter $folder: the lab lives in $parent" "$lab_user 사용자가 $folder 에 들어갈 수 없어 $parent 를 씁니다"
    mkdir -p $parent
    cp -a "$folder/." $parent/ && rm -rf "$folder" && ln -s $parent "$folder"
    # shellcheck disable=SC2034  # used by service.sh
    lab_link=$folder
    lab_dir=$parent
    folder=$parent
  fi
  mkdir -p "$folder"/{bin,etc,data,logs,run,secrets,www}
  chmod 755 "$folder" "$folder"/{bin,etc,data,logs,run,www}
  chmod 711 "$folder/secrets"
  touch "$folder/.bongsu-lab"
  for parent in prometheus alertmanager webhook-sink log-exporter nginx; do
    mkdir -p "$folder/data/$parent"
    chown "$lab_user:nogroup" "$folder/data/$parent"
    chmod 750 "$folder/data/$parent"
  done
  touch "$folder/logs/nginx-access.log"
  chown "$lab_user:nogroup" "$folder/logs/nginx-access.log"
  mkdir -p "$folder/data/mysql" "$folder/run/sockets"
  chown "$lab_user:nogroup" "$folder/data/mysql" "$folder/run/sockets"
  chmod 700 "$folder/data/mysql"
}

# A Unix socket's path has at most 107 bytes.
database_socket() {
  local socket=$lab_dir/run/sockets/mysql.sock
  if [ ${#socket} -gt 100 ]; then
    socket=/run/bongsu-lab-$(printf %s "$lab_dir" | cksum | cut -d' ' -f1)/mysql.sock
  fi
  printf %s "$socket"
}

secret() { # NAME: made once, readable by root only
  local file=$lab_dir/secrets/$1
  if [ ! -s "$file" ]; then
    (umask 077 && head -c 24 /dev/urandom | base64 | tr -d '+/=\n' >"$file")
  fi
  cat "$file"
}

write_config() {
  local etc=$lab_dir/etc service
  mkdir -p "$etc/prometheus/rules" "$etc/prometheus/targets" "$etc/prometheus/consoles" "$etc/alertmanager" "$etc/nginx" "$etc/custom-exporter" "$etc/log-exporter"
  cp "$root/deploy/prometheus/prometheus.yml" "$etc/prometheus/"
  cp "$root"/deploy/prometheus/rules/*.yml "$etc/prometheus/rules/"
  cp -r "$root/deploy/prometheus/consoles/." "$etc/prometheus/consoles/"
  sed "s#http://webhook:5000#$(url webhook-sink)#" "$root/deploy/alertmanager/alertmanager.yml" >"$etc/alertmanager/alertmanager.yml"
  cp "$root"/deploy/nginx/site/* "$lab_dir/www/"
  sed -e "s#listen 80;#listen 127.0.0.1:${port[nginx]};#" -e "s#listen 8081;#listen 127.0.0.1:${port[stub-status]};#" \
    -e "s#/etc/nginx/site.conf#\"$etc/nginx/site.conf\"#" -e "s#/usr/share/nginx/html#\"$lab_dir/www\"#" -e "s#/var/log/nginx/access.log#\"$lab_dir/logs/nginx-access.log\"#" \
    -e "s#/tmp/nginx.pid#\"$lab_dir/data/nginx/nginx.pid\"#" -e "s#/tmp/nginx-\([a-z]*\)#\"$lab_dir/data/nginx/\1\"#" \
    "$root/deploy/nginx/nginx.conf" >"$etc/nginx/nginx.conf"
  cp "$root/deploy/nginx/static.conf" "$etc/nginx/site.conf"
  sed -e "s#mysql-wordpress:3306#127.0.0.1:${port[mysql]}#" -e "s#/secrets/#$lab_dir/secrets/#" \
    "$root/deploy/custom-exporter/wordpress.yml" >"$etc/custom-exporter/wordpress.yml"
  cp -r "$root/deploy/logstash/patterns" "$etc/log-exporter/"
  sed -e "s#/etc/log-exporter/patterns#$etc/log-exporter/patterns#" -e "s#\[/var/log/nginx/access.log\]#[\"$lab_dir/logs/nginx-access.log\"]#" \
    -e "s#\[/var/log/nginx/error.log\]#[\"$lab_dir/logs/nginx.log\"]#" -e "s#\[/var/log/mysql/error.log\]#[\"$lab_dir/logs/mysql.log\"]#" -e "s#\[/var/log/mysql/\*-slow.log\]#[\"$lab_dir/data/mysql/*-slow.log\"]#" \
    -e "s#dirs: \[\([^]]*\)\]#dirs: [\"\1\"]#" "$root/deploy/log-exporter/lab.yml" >"$etc/log-exporter/lab.yml"
  rm -f "$etc/quick-rules"
  if [ -n "${BONGSU_QUICK_RULES:-}" ]; then
    quicken_rules "$etc"/prometheus/rules/*.yml
    quicken_routes "$etc/alertmanager/alertmanager.yml"
    touch "$etc/quick-rules"
  fi
  for service in "${!job[@]}"; do
    [ -e "$etc/prometheus/targets/${job[$service]}.yml" ] || printf '[]\n' >"$etc/prometheus/targets/${job[$service]}.yml"
  done
  chmod -R a+rX "$etc" "$lab_dir/www"
}

# Prometheus scrapes what was started, no more: absence is no fault.
write_target() { # SERVICE
  local file=$lab_dir/etc/prometheus/targets/${job[$1]}.yml
  printf -- '- targets: ["127.0.0.1:%s"]\n' "${port[$1]}" >"$file.new"
  chmod 644 "$file.new"
  mv "$file.new" "$file"
}
