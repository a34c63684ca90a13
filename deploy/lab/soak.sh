#!/usr/bin/env bash
# ./lab soak [MINUTES]: the running lab under its load and 20 scrapes a second of each of our services; fails when one's
# memory or number of descriptors grows without end, or one dies.
# ./lab soak FORM [ARGUMENTS]: a run of its own from tests/soak/.
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
minutes=${1:-10}
if [[ $minutes =~ ^[a-z][a-z0-9]*$ ]] && [ -x "$root/tests/soak/$minutes" ]; then
  shift
  exec "$root/tests/soak/$minutes" "$@"
fi
case $minutes in *[!0-9]* | '') die "soak takes minutes or one of: $(cd "$root/tests/soak" && echo *); not '$minutes'" "soak에는 분 단위 숫자나 다음 중 하나가 필요합니다: $(cd "$root/tests/soak" && echo *); '$minutes' 아님" ;; esac
become_root soak "$minutes"
running prometheus || die "the lab does not run: ./lab up" "실습실이 돌고 있지 않습니다: ./lab up"

services=()
for service in "${our_services[@]}"; do running "$service" && services+=("$service"); done
descriptors() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }
scrapers=()
for service in "${services[@]}"; do
  # Bounded by time; curl repeats within one process, so that the soak itself costs little.
  # shellcheck disable=SC2016
  timeout $((minutes * 60)) bash -c 'while :; do curl -s --max-time 5 "$1/metrics?soak=[1-20]" >/dev/null; sleep 1; done' bash "$(url "$service")" &
  scrapers+=($!)
done
trap 'kill "${scrapers[@]}" 2>/dev/null' EXIT

# The first fifth warms up: caches fill, pools grow.
warm=$((minutes * 12))
sleep $warm
declare -A pid=() rss=() fds=() dead=()
for service in "${services[@]}"; do
  pid[$service]=$(running_pid "$service") rss[$service]=$(rss_kib "${pid[$service]}") fds[$service]=$(descriptors "${pid[$service]}")
done
for ((minute = 1; minute <= (minutes * 60 - warm) / 60; minute++)); do
  sleep 60
  progress "minute $minute: $(for service in "${services[@]}"; do printf '%s %s KiB  ' "$service" "$(rss_kib "${pid[$service]}")"; done)" "${minute}분째"
done
failed=0
printf '%-20s %10s %10s %6s %6s\n' SERVICE 'KiB first' 'KiB last' 'fd' 'fd'
for service in "${services[@]}"; do
  if [ "$(running_pid "$service")" != "${pid[$service]}" ]; then dead[$service]=yes; fi
  now=$(rss_kib "${pid[$service]}") open=$(descriptors "${pid[$service]}")
  verdict=ok
  # A fifth more, or 2 MiB, is what allocators and page tables do.
  if [ -n "${dead[$service]:-}" ]; then verdict=DEAD; elif [ "$now" -gt $((rss[$service] * 12 / 10 + 2048)) ] || [ "$open" -gt $((fds[$service] + 40)) ]; then verdict=GROWS; fi
  [ $verdict = ok ] || failed=1
  printf '%-20s %10s %10s %6s %6s  %s\n' "$service" "${rss[$service]}" "$now" "${fds[$service]}" "$open" "$verdict"
done
exit $failed
