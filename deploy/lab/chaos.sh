#!/usr/bin/env bash
# ./lab chaos FAULT [--quiet]: a bounded fault in the running lab, the alerts that must fire, when each step of the way
# metric -> rule -> Alertmanager -> sink was reached, and the end of the fault. Exits 0 when all expected alerts came and went.
set -uo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/lab/base.sh
source "$root/deploy/lab/base.sh"
# shellcheck source=deploy/lab/setup.sh
source "$root/deploy/lab/setup.sh"
# shellcheck source=deploy/lab/process.sh
source "$root/deploy/lab/process.sh"
# shellcheck source=deploy/lab/service.sh
source "$root/deploy/lab/service.sh"
set +e
PATH=$PATH:/usr/sbin:/sbin

faults() {
  cat <<'TABLE'
nginx-down|NginxDown|nginx is stopped|nginx가 멈춤
mysql-down|MySQLDown|the database is stopped|데이터베이스가 멈춤
mysql-slow|MySQLSlowQueries|queries that take 0.7 s each|한 번에 0.7초 걸리는 질의
cpu|HostHighCPU|every CPU busy for at most 7 minutes|모든 CPU를 최대 7분 동안 사용
memory|HostHighMemory|all but 8 % of the memory taken by a file in memory|메모리의 92 %를 메모리 파일로 채움
disk|HostDiskSpaceCritical|a small disk of its own, filled|작은 디스크를 만들어 가득 채움
errors|WebErrorsHigh|requests that end with status 500|상태 500으로 끝나는 요청
alertmanager-down|PrometheusNotificationsFailing|Alertmanager is stopped|Alertmanager가 멈춤
sink-down|AlertmanagerNotificationsFailing|the sink is stopped while nginx goes down|싱크가 멈춘 동안 nginx도 멈춤
clock|HostClockSkew|node-exporter started with a clock that is 90 s late|90초 늦은 시계로 시작한 node-exporter
TABLE
}

fault=${1:-}
if [ -z "$fault" ]; then
  say "Faults (./lab chaos NAME):" "장애 목록 (./lab chaos 이름):"
  faults | while IFS='|' read -r name alerts english korean; do
    if [ "$language" = ko ]; then printf '  %-18s %-34s %s\n' "$name" "$alerts" "$korean"; else printf '  %-18s %-34s %s\n' "$name" "$alerts" "$english"; fi
  done
  exit 0
fi
IFS='|' read -r _ alerts english korean < <(faults | grep -E "^$fault\|") || die "there is no fault '$fault'; ./lab chaos lists them" "'$fault' 장애는 없습니다. ./lab chaos"
[ "$EUID" -eq 0 ] || become_root chaos "$@"
running prometheus || die "the lab does not run: ./lab up" "실습실이 돌고 있지 않습니다: ./lab up"

place=$lab_dir/chaos
mkdir -p "$place"
helpers=()
background() { # COMMAND...: a bounded helper, ended with the fault
  setsid "$@" >/dev/null 2>&1 </dev/null &
  helpers+=("$! $(start_time $!)")
}
end_helpers() {
  local helper pid
  for helper in "${helpers[@]}"; do
    pid=${helper%% *}
    [ "$(start_time "$pid" || true)" != "${helper#* }" ] || kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null
  done
  helpers=()
}

begin_fault() {
  local i leave size
  case $fault in
  nginx-down) end_process nginx ;;
  mysql-down) end_process mysql 30 ;;
  mysql-slow)
    # shellcheck disable=SC2016
    for i in 1 2; do background timeout 240 bash -c 'while :; do mariadb --defaults-file="$1" wordpress -e "SELECT SLEEP(0.7)"; done' bash "$lab_dir/secrets/wordpress.cnf"; done
    ;;
  cpu) for ((i = 0; i < $(nproc) * 2; i++)); do background nice -n 10 timeout 420 bash -c 'while :; do :; done'; done ;;
  memory)
    leave=$(awk '/^MemTotal:/ {print int($2 * 8 / 100)}' /proc/meminfo)
    size=$(($(awk '/^MemAvailable:/ {print $2}' /proc/meminfo) - leave))
    [ "$leave" -ge 300000 ] || die "8 % of this machine's memory is too little to leave: not done" "남길 메모리 8 %가 너무 적어 하지 않습니다"
    # In a mount namespace of its own: it is gone with its process.
    # shellcheck disable=SC2016
    background timeout 300 unshare -m bash -c 'mount -t tmpfs -o "size=$1k" chaos "$2" && fallocate -l "$1KiB" "$2/fill"; sleep 300' bash "$size" "$place"
    ;;
  disk)
    truncate -s 64M "$place/disk.image"
    mkfs.ext4 -q -m 0 "$place/disk.image" || return 1
    mkdir -p "$place/disk"
    chmod 755 "$place"
    mount -o loop "$place/disk.image" "$place/disk" || { complain "no loop device here"; return 1; }
    head -c 200M /dev/zero >"$place/disk/fill" 2>/dev/null
    return 0
    ;;
  errors)
    # shellcheck disable=SC2016
    background timeout 240 bash -c 'while :; do curl -s -o /dev/null --max-time 2 "$1/lab/error?[1-10]" >/dev/null; sleep 1; done' bash "$(url nginx)"
    ;;
  alertmanager-down) end_process alertmanager ;;
  sink-down) end_process webhook-sink && end_process nginx ;;
  clock)
    local library
    library=$(find /usr/lib -name 'libfaketime.so.1' 2>/dev/null | head -n 1)
    [ -n "$library" ] || { install_packages libfaketime; library=$(find /usr/lib -name 'libfaketime.so.1' | head -n 1); }
    if ldd "$lab_dir/bin/node-exporter" 2>&1 | grep -q 'statically\|not a dynamic'; then
      say "node-exporter is a static binary here, whose clock cannot be shifted: not done" "정적 바이너리라 시계를 바꿀 수 없어 하지 않습니다"
      exit 77
    fi
    end_process node-exporter
    spawn node-exporter "$lab_user" env LD_PRELOAD="$library" FAKETIME=-90s FAKETIME_DONT_FAKE_MONOTONIC=1 "$lab_dir/bin/node-exporter" "--web.listen-address=127.0.0.1:${port[node-exporter]}"
    ;;
  esac
}

end_fault() {
  case $fault in
  nginx-down) start_service nginx ;;
  mysql-down) start_service mysql ;;
  disk)
    umount "$place/disk" 2>/dev/null
    rm -rf "$place/disk" "$place/disk.image"
    ;;
  alertmanager-down) start_service alertmanager ;;
  sink-down) start_service webhook-sink && start_service nginx ;;
  clock) end_process node-exporter && start_service node-exporter ;;
  esac
  end_helpers
}
ended=''
cleanup() { [ -n "$ended" ] || end_fault >/dev/null 2>&1; ended=yes; rmdir "$place" 2>/dev/null; }
trap cleanup EXIT
trap 'exit 130' INT TERM

in_prometheus() { # ALERT: inactive, pending or firing
  curl -fsS --max-time 3 "$(url prometheus)/api/v1/alerts" 2>/dev/null |
    jq -r --arg a "$1" '[.data.alerts[] | select(.labels.alertname == $a) | .state] | if index("firing") then "firing" elif length > 0 then .[0] else "inactive" end'
}
in_alertmanager() { curl -fsS --max-time 3 "$(url alertmanager)/api/v2/alerts" 2>/dev/null | jq -e --arg a "$1" 'any(.[]; .labels.alertname == $a)' >/dev/null; }
in_sink() { # ALERT STATE
  curl -fsS --max-time 3 -G "$(url webhook-sink)/api/v1/alerts" --data-urlencode "state=$2" --data-urlencode "q=alertname=\"$1\"" --data-urlencode "from=$since" 2>/dev/null |
    jq -e '.alerts | length > 0' >/dev/null
}
seconds() { awk -v a="$1" -v b="$(date +%s%3N)" 'BEGIN {printf "%.1f", (b - a) / 1000}'; }
step() { printf '%7s s  ' "$(seconds "$t0")"; say "$@"; }

# What the sink cannot be told while the way to it is the fault is looked for in Prometheus, and the Watchdog afterwards.
by_sink=yes
case $fault in alertmanager-down | sink-down) by_sink='' ;; esac

[ "$(in_prometheus "$alerts")" = inactive ] || die "$alerts is active before the fault: look at ./lab status and wait for it to end" "장애 전인데 $alerts 알림이 이미 있습니다. ./lab status를 보고 끝날 때까지 기다리세요"
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
t0=$(date +%s%3N)
step "fault: $english; expected: $alerts" "장애: $korean. 기다리는 알림: $alerts"
begin_fault || { say "the fault could not be made" "장애를 만들 수 없습니다"; exit 1; }

limit=$((t0 + 400000))
seen_pending='' seen_firing='' seen_alertmanager='' arrived=''
while [ "$(date +%s%3N)" -lt $limit ]; do
  state=$(in_prometheus "$alerts")
  if [ "$state" != inactive ] && [ -z "$seen_pending" ]; then seen_pending=yes; step "rule: $alerts is $state in Prometheus" "규칙: Prometheus에서 $alerts 상태가 $state"; fi
  if [ "$state" = firing ] && [ -z "$seen_firing" ]; then seen_firing=yes; step "rule: $alerts fires" "규칙: $alerts 발생"; fi
  if [ -z "$by_sink" ]; then
    if [ -n "$seen_firing" ]; then arrived=yes; break; fi
  else
    if [ -n "$seen_firing" ] && [ -z "$seen_alertmanager" ] && in_alertmanager "$alerts"; then seen_alertmanager=yes; step "Alertmanager has it" "Alertmanager에 도착"; fi
    if [ -n "$seen_firing" ] && in_sink "$alerts" firing; then arrived=yes; step "the sink has it" "싱크에 도착"; break; fi
  fi
  sleep 0.5
done
if [ -z "$arrived" ]; then step "$alerts did not arrive" "$alerts 알림이 오지 않았습니다"; exit 1; fi
fired=$(seconds "$t0")

t1=$(date +%s%3N)
end_fault
ended=yes
step "the fault is undone" "장애를 되돌렸습니다"
limit=$((t1 + 400000))
while [ "$(date +%s%3N)" -lt $limit ]; do
  if [ -n "$by_sink" ]; then
    if in_sink "$alerts" resolved; then step "the sink says resolved" "싱크에서 해결됨"; break; fi
  elif [ "$(in_prometheus "$alerts")" = inactive ]; then
    if [ "$fault" = sink-down ] && ! in_sink NginxDown firing,resolved; then sleep 0.5; continue; fi
    step "$alerts has ended, and the way to the sink works again" "$alerts 끝, 싱크까지의 길이 다시 열렸습니다"
    break
  fi
  sleep 0.5
done
if [ "$(date +%s%3N)" -ge $limit ]; then step "$alerts did not end" "$alerts 알림이 끝나지 않았습니다"; exit 1; fi
printf 'figure  %-44s fired %s s, ended %s s after the fault was undone\n' "chaos $fault ($alerts)" "$fired" "$(seconds "$t1")"
