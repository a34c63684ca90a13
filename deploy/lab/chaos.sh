#!/usr/bin/env bash
# ./lab chaos FAULT: a bounded fault in the running lab, the alert that must fire, when each step of the way
# metric -> rule -> Alertmanager -> sink was reached, and the end of the fault. Meanwhile the lab's copy of the rules is
# quickened (quicken.sh), so that no fault takes longer than about a minute and a half. Exits 0 when the alert came and
# went; whatever happens, Ctrl-C included, the fault and the rules are put back.
set -uo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/lab/base.sh
source "$root/deploy/lab/base.sh"
# shellcheck source=deploy/lab/quicken.sh
source "$root/deploy/lab/quicken.sh"
# shellcheck source=deploy/lab/setup.sh
source "$root/deploy/lab/setup.sh"
# shellcheck source=deploy/lab/process.sh
source "$root/deploy/lab/process.sh"
# shellcheck source=deploy/lab/service.sh
source "$root/deploy/lab/service.sh"
set +e
PATH=$PATH:/usr/sbin:/sbin

# NAME|ALERT|what happens|in Korean|the metric that shows it first
faults() {
  cat <<'TABLE'
nginx-down|NginxDown|nginx is stopped|nginx가 멈춤|nginx_up == 0
mysql-down|MySQLDown|the database is stopped|데이터베이스가 멈춤|mysql_up == 0
mysql-slow|MySQLSlowQueries|queries that take 0.7 s each|한 번에 0.7초 걸리는 질의|rate(mysql_global_status_slow_queries[30s]) > 0.1
cpu|HostHighCPU|every CPU busy for at most 2 minutes|모든 CPU를 최대 2분 동안 사용|sum (rate(node_cpu_seconds_total{mode="idle"}[15s])) < 0.1
memory|HostHighMemory|all but 8 % of the memory taken|메모리의 92 %를 사용|node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.1
disk|HostDiskSpaceCritical|a small disk of its own, filled|작은 디스크를 만들어 가득 채움|node_filesystem_avail_bytes{mountpoint=~".*/chaos-disk/mount"} == 0
errors|WebErrorsHigh|requests that end with status 500|상태 500으로 끝나는 요청|rate(nginx_http_response_count_total{status="500"}[30s]) > 1
alertmanager-down|PrometheusNotificationsFailing|Alertmanager is stopped|Alertmanager가 멈춤|up{job="alertmanager"} == 0
sink-down|AlertmanagerNotificationsFailing|the sink is stopped while nginx goes down|싱크가 멈춘 동안 nginx도 멈춤|up{job="webhook-sink"} == 0
clock|HostClockSkew|node-exporter started with a clock that is 90 s late|90초 늦은 시계로 시작한 node-exporter|abs(timestamp(node_time_seconds) - node_time_seconds) > 60
TABLE
}

fault=${1:-}
if [ -z "$fault" ]; then
  say "Faults (./lab chaos NAME):" "장애 목록 (./lab chaos 이름):"
  faults | while IFS='|' read -r name alert english korean _; do
    if [ "$language" = ko ]; then printf '  %-18s %-34s %s\n' "$name" "$alert" "$korean"; else printf '  %-18s %-34s %s\n' "$name" "$alert" "$english"; fi
  done
  exit 0
fi
case $fault in *[!a-z-]*) die "there is no fault '$fault'; ./lab chaos lists them" "'$fault' 장애는 없습니다. ./lab chaos" ;; esac
IFS='|' read -r _ alert english korean metric < <(faults | grep -E "^$fault\|") || die "there is no fault '$fault'; ./lab chaos lists them" "'$fault' 장애는 없습니다. ./lab chaos"
[ "$EUID" -eq 0 ] || become_root chaos "$@"
running prometheus || die "the lab does not run: ./lab up" "실습실이 돌고 있지 않습니다: ./lab up"

# Longest that the alert may take to come, and to go: with quick rules everything is far below it.
readonly patience=150
place=$lab_dir/chaos-$fault
mkdir -p "$place"
chmod 755 "$place"
helpers=()
background() { # COMMAND...: a bounded helper, ended with the fault
  setsid "$@" >/dev/null 2>&1 </dev/null 8>&- 9>&- &
  helpers+=("$! $(start_time $!)")
  disown $!
}
end_helpers() {
  local helper pid
  for helper in "${helpers[@]}"; do
    pid=${helper%% *}
    [ "$(start_time "$pid" || true)" != "${helper#* }" ] || kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null
  done
  helpers=()
}

get() { curl -fsS --max-time 3 "$@" 2>/dev/null; }

# What a fault needs that this machine may lack; 77 is "not done here".
check_fault() {
  not_here() {
    say "$@"
    exit 77
  }
  # Who shows the metric may have been left out of this lab.
  local witness=node-exporter
  case $fault in
  nginx-down) witness=nginx-exporter ;;
  mysql-*) witness=mysqld-exporter ;;
  errors) witness="log-exporter" ;;
  alertmanager-down) witness=alertmanager ;;
  sink-down) witness=webhook-sink ;;
  esac
  running $witness || not_here "$witness, which shows this fault, does not run: not done" "이 장애를 보여 줄 $witness 서비스가 돌고 있지 않아 하지 않습니다"
  case $fault in
  cpu)
    # Where somebody else keeps the CPUs busy, the alert would neither begin nor end with the fault.
    [ -z "$(get -G "$(url prometheus)/api/v1/query" --data-urlencode 'query=1 - avg (rate(node_cpu_seconds_total{mode="idle"}[30s])) > 0.8' | jq -r '.data.result[].value[1]')" ] ||
      not_here "the CPUs are busy already: not done" "CPU가 이미 바빠서 하지 않습니다"
    ;;
  memory)
    awk '/^MemTotal:/ {t = $2} /^MemAvailable:/ {a = $2} END {exit !(t * 0.08 > 300000 && a > t / 2)}' /proc/meminfo ||
      not_here "8 % of the memory are less than 300 MB, or half of it is taken already: not done" "메모리의 8 %가 300 MB보다 적거나 이미 절반을 쓰고 있어 하지 않습니다"
    ;;
  disk)
    losetup -f >/dev/null 2>&1 || not_here "no loop device can be had here: not done" "루프 장치가 없어 하지 않습니다"
    ;;
  clock)
    # A container may forbid what it takes (seccomp, ptrace), another kernel may lack it.
    install -m 644 "$root/deploy/lab/late.pl" "$place/late.pl"
    setpriv --reuid "$lab_user" --regid nogroup --clear-groups --no-new-privs perl "$place/late.pl" 1 true 2>"$place/why" ||
      not_here "the clock of one process cannot be shifted here ($(tail -n 1 "$place/why")): not done" "여기서는 프로세스 하나의 시계만 바꿀 수 없어 하지 않습니다 ($(tail -n 1 "$place/why"))"
    ;;
  esac
}

begin_fault() {
  local i size
  case $fault in
  nginx-down) end_process nginx ;;
  mysql-down) end_process mysql 30 ;;
  mysql-slow)
    # shellcheck disable=SC2016
    for i in 1 2; do background timeout 150 bash -c 'while :; do mariadb --defaults-file="$1" wordpress -e "SELECT SLEEP(0.7)" || sleep 1; done' bash "$lab_dir/secrets/wordpress.cnf"; done
    ;;
  cpu) for ((i = 0; i < $(nproc) * 2; i++)); do background nice -n 10 timeout 120 bash -c 'while :; do :; done'; done ;;
  memory)
    # The first that the kernel kills when somebody else needs the memory, so that nobody else is.
    size=$(awk '/^MemTotal:/ {t = $2} /^MemAvailable:/ {a = $2} END {printf "%d", (a - t * 0.08) / 1024}' /proc/meminfo)
    # shellcheck disable=SC2016
    background timeout 120 bash -c 'echo 1000 >/proc/self/oom_score_adj; exec perl -e '\''my @held; for (1 .. shift) { push @held, "x" x 1048576 } sleep 120'\'' "$1"' bash "$size"
    ;;
  disk)
    truncate -s 64M "$place/disk.image"
    mkfs.ext4 -q -m 0 "$place/disk.image" || return 1
    mkdir -p "$place/mount"
    mount -o loop "$place/disk.image" "$place/mount" || return 1
    head -c 200M /dev/zero >"$place/mount/fill" 2>/dev/null
    return 0
    ;;
  errors)
    # shellcheck disable=SC2016
    background timeout 150 bash -c 'while :; do curl -s -o /dev/null --max-time 2 "$1/lab/error?[1-10]" >/dev/null; sleep 1; done' bash "$(url nginx)"
    ;;
  alertmanager-down) end_process alertmanager ;;
  sink-down) end_process webhook-sink && end_process nginx ;;
  clock)
    end_process node-exporter
    spawn node-exporter "$lab_user" perl "$place/late.pl" 90 "$lab_dir/bin/node-exporter" "--web.listen-address=127.0.0.1:${port[node-exporter]}"
    ;;
  esac
}

# Each in a subshell: one that does not start must not keep the rest down.
end_fault() {
  local status=0
  end_helpers
  case $fault in
  nginx-down) (start_service nginx) || status=1 ;;
  mysql-down) (start_service mysql) || status=1 ;;
  disk)
    umount "$place/mount" 2>/dev/null || umount -l "$place/mount" 2>/dev/null
    rmdir "$place/mount" 2>/dev/null
    rm -f "$place/disk.image"
    ;;
  alertmanager-down) (start_service alertmanager) || status=1 ;;
  sink-down)
    (start_service webhook-sink) || status=1
    (start_service nginx) || status=1
    ;;
  clock)
    end_process node-exporter
    (start_service node-exporter) || status=1
    ;;
  esac
  return $status
}

quickened='' begun='' ended=''
restore_rules() {
  [ -n "$quickened" ] || return 0
  quickened=''
  write_config
  reload_config
}
cleanup() {
  if [ -n "$begun" ] && [ -z "$ended" ]; then end_fault >/dev/null 2>&1; fi
  ended=yes
  restore_rules
  rm -f "$place/late.pl" "$place/why"
  rmdir "$place" 2>/dev/null
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# A lab that was started with quick rules may run several faults at a time; any other one at a time.
if ! quick_rules; then
  exec 8>"$lab_dir/.chaos.lock"
  flock -n 8 || die "another fault is under way in this lab" "이 실습실에서 다른 장애가 진행 중입니다"
fi
check_fault

in_prometheus() { # ALERT: inactive, pending or firing
  get "$(url prometheus)/api/v1/alerts" |
    jq -r --arg a "$1" '[.data.alerts[] | select(.labels.alertname == $a) | .state] | if index("firing") then "firing" elif length > 0 then .[0] else "inactive" end'
}
measured() { get -G "$(url prometheus)/api/v1/query" --data-urlencode "query=$metric" | jq -e '.data.result | length > 0' >/dev/null; }
in_alertmanager() { get "$(url alertmanager)/api/v2/alerts" | jq -e --arg a "$1" 'any(.[]; .labels.alertname == $a)' >/dev/null; }
in_sink() { # ALERT STATE
  get -G "$(url webhook-sink)/api/v1/alerts" --data-urlencode "state=$2" --data-urlencode "q=alertname=\"$1\"" --data-urlencode "from=$since" |
    jq -e '.alerts | length > 0' >/dev/null
}
now() { date +%s%3N; }
seconds() { awk -v a="$1" -v b="$(now)" 'BEGIN {printf "%.1f", (b - a) / 1000}'; }
step() { printf '%7s s  ' "$(seconds "$t0")"; say "$@"; }

# What the sink cannot be told while the way to it is the fault is looked for in Prometheus first.
by_sink=yes
case $fault in alertmanager-down | sink-down) by_sink='' ;; esac

t0=$(now)
if ! quick_rules; then
  quickened=yes
  BONGSU_QUICK_RULES=yes write_config
  rm -f "$lab_dir/etc/quick-rules"
  reload_config
fi
limit=$((t0 + 60000))
while [ "$(in_prometheus "$alert")" != inactive ]; do
  [ "$(now)" -lt $limit ] || die "$alert is active before the fault: look at ./lab status and wait for it to end" "장애 전인데 $alert 알림이 이미 있습니다. ./lab status를 보고 끝날 때까지 기다리세요"
  sleep 1
done

since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
t0=$(now)
step "fault: $english; expected: $alert" "장애: $korean. 기다리는 알림: $alert"
begun=yes
begin_fault || { say "the fault could not be made" "장애를 만들 수 없습니다"; exit 1; }

limit=$((t0 + patience * 1000))
seen_metric='' seen_pending='' seen_firing='' seen_alertmanager='' arrived=''
while [ "$(now)" -lt $limit ]; do
  if [ -z "$seen_metric" ] && measured; then seen_metric=yes; step "metric: $metric" "메트릭: $metric"; fi
  state=$(in_prometheus "$alert")
  if [ "$state" = pending ] && [ -z "$seen_pending" ]; then seen_pending=yes; step "rule: $alert is pending in Prometheus" "규칙: Prometheus에서 $alert 대기(pending)"; fi
  if [ "$state" = firing ] && [ -z "$seen_firing" ]; then seen_firing=yes; step "rule: $alert fires" "규칙: $alert 발생"; fi
  if [ -z "$by_sink" ]; then
    if [ -n "$seen_firing" ]; then arrived=yes; break; fi
  else
    if [ -n "$seen_firing" ] && [ -z "$seen_alertmanager" ] && in_alertmanager "$alert"; then seen_alertmanager=yes; step "Alertmanager has it" "Alertmanager에 도착"; fi
    if [ -n "$seen_firing" ] && in_sink "$alert" firing; then arrived=yes; step "the sink has it" "싱크에 도착"; break; fi
  fi
  sleep 0.4
done
if [ -z "$arrived" ]; then step "$alert did not arrive" "$alert 알림이 오지 않았습니다"; exit 1; fi
fired=$(seconds "$t0")

t1=$(now)
ended=yes
end_fault || { step "not everything could be started again: ./lab doctor" "모두 다시 시작하지 못했습니다: ./lab doctor"; exit 1; }
step "the fault is undone" "장애를 되돌렸습니다"
over() {
  [ -n "$by_sink" ] || [ "$(in_prometheus "$alert")" = inactive ] || return 1
  case $fault in
  # The way was broken: what waited for it must arrive now.
  sink-down) in_sink NginxDown firing,resolved ;;
  alertmanager-down) in_sink "$alert" firing,resolved ;;
  *) in_sink "$alert" resolved ;;
  esac
}
limit=$((t1 + patience * 1000))
until over; do
  if [ "$(now)" -ge $limit ]; then step "$alert did not end" "$alert 알림이 끝나지 않았습니다"; exit 1; fi
  sleep 0.4
done
if [ -n "$by_sink" ]; then step "the sink says resolved" "싱크에서 해결됨"; else step "$alert has ended, and the way to the sink works again" "$alert 끝, 싱크까지의 길이 다시 열렸습니다"; fi
printf 'figure  %-44s fired %s s, ended %s s after the fault was undone\n' "chaos $fault ($alert)" "$fired" "$(seconds "$t1")"
