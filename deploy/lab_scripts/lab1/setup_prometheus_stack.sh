#!/usr/bin/env bash
# Step 1 of the lab: Prometheus, the exporters, nginx and the database. Safe to run again. --lang ko|en, --docker, --native
set -uo pipefail
# shellcheck source=deploy/lab_scripts/lab1/words.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/words.sh"

say "Starting Prometheus, the exporters, nginx and the database …" "Prometheus, 익스포터, nginx, 데이터베이스를 시작합니다 …"
if [ "$form" = native ]; then
  "$root/lab" up || die "not every process came up" "올라오지 못한 프로세스가 있습니다"
else
  services=(prometheus node-exporter cadvisor mysql-exporter nginx-exporter log-exporter custom-exporter alertmanager webhook nginx-proxy mysql-wordpress load load-sql keeper)
  mapfile -t services < <(compose config --services | grep -xF "$(printf '%s\n' "${services[@]}")")
  compose up -d --wait --wait-timeout 300 "${up_options[@]}" "${services[@]}" || {
    compose ps -a
    die "not every container came up" "올라오지 못한 컨테이너가 있습니다"
  }
fi
within 60 targets_up || {
  get "$prometheus/api/v1/targets?state=active" | jq -r '.data.activeTargets[] | select(.health != "up") | "  \(.labels.job): \(.lastError)"'
  die "not every target is up" "올라오지 못한 타깃이 있습니다"
}
get "$prometheus/api/v1/targets?state=active" | jq -r '.data.activeTargets[] | "  \(.health)  \(.labels.job)  \(.scrapeUrl)"' | sort
# Steps 2 and 3 want containers.
next=setup_grafana_dashboard.sh
[ "$form" = docker ] || next=setup_alerting_test.sh
say "Prometheus: $prometheus   next: ${0%/*}/$next" "Prometheus: $prometheus   다음: ${0%/*}/$next"
