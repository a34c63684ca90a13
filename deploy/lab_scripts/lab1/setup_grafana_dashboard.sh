#!/usr/bin/env bash
# Step 2 of the lab: Grafana with its data sources and dashboards. Safe to run again. --lang ko|en
set -uo pipefail
# shellcheck source=deploy/lab_scripts/lab1/words.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/words.sh"

[ "$form" = docker ] || die "Debian has no package of Grafana, so this step needs the lab in containers: ./lab down, then ./lab up --docker" "데비안에는 Grafana 패키지가 없어 이 단계는 컨테이너 실습실에서만 할 수 있습니다: ./lab down 다음에 ./lab up --docker"
say "Starting Grafana …" "Grafana를 시작합니다 …"
compose up -d --wait --wait-timeout 180 "${up_options[@]}" grafana || die "Grafana did not come up: docker compose -f deploy/compose.yaml logs grafana" "Grafana가 올라오지 않았습니다: docker compose -f deploy/compose.yaml logs grafana"
within 90 get "$grafana/api/health" || die "Grafana does not answer at $grafana" "Grafana가 $grafana 에서 응답하지 않습니다"
# The password travels by standard input, not as an argument.
password=$(compose exec -T grafana cat /secrets/grafana-admin.password)
listed=$(printf 'user = "admin:%s"\n' "$password" | curl -fsS --max-time 5 -K - "$grafana/api/search?type=dash-db") || die "Grafana refuses its own password" "Grafana가 비밀번호를 거절합니다"
unset password
jq -r '.[] | "  \(.title)  \(.url)"' <<<"$listed"
[ "$(jq length <<<"$listed")" -gt 0 ] || die "no dashboard was provisioned" "프로비저닝된 대시보드가 없습니다"
say "Grafana: $grafana   user admin, password: docker compose -f deploy/compose.yaml exec grafana cat /secrets/grafana-admin.password" \
  "Grafana: $grafana   사용자 admin, 비밀번호: docker compose -f deploy/compose.yaml exec grafana cat /secrets/grafana-admin.password"
