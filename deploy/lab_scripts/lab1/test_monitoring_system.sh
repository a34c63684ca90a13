#!/usr/bin/env bash
# The checklist of the lab document. The exit code is the number of failures. --lang ko|en, --docker, --native
set -uo pipefail

# shellcheck source=deploy/lab_scripts/lab1/words.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/words.sh"

# shellcheck disable=SC2317
answer() { get -G "$prometheus/api/v1/query" --data-urlencode "query=$1" | jq -e '.data.result | length > 0'; }
say "Metrics" "메트릭"
check "Prometheus is ready" "Prometheus 준비됨" get "$prometheus/-/ready"
check "every target is up" "모든 타깃이 올라옴" within 30 targets_up
if [ "$form" = docker ]; then
  check "containers (job cadvisor)" "컨테이너 (cadvisor)" answer 'container_last_seen{name!=""}'
else
  check "cgroups (job cadvisor)" "cgroup (cadvisor)" answer container_last_seen
fi
check "the host (job node-exporter)" "시스템 (node-exporter)" answer node_cpu_seconds_total
check "the database (job mysql-exporter)" "데이터베이스 (mysql-exporter)" answer 'mysql_up == 1'
check "nginx (job nginx-exporter)" "nginx (nginx-exporter)" answer 'nginx_up == 1'
check "rules are loaded" "규칙이 로드됨" bash -c "curl -fsS '$prometheus/api/v1/rules' | jq -e '[.data.groups[].rules[]] | length > 40'"
say "Alerts" "알림"
check "Alertmanager is ready" "Alertmanager 준비됨" get "$alertmanager/-/ready"
check "the sink is ready" "싱크 준비됨" get "$sink/-/ready"
check "the Watchdog reaches the sink" "Watchdog이 싱크에 도착함" within 90 in_sink Watchdog firing 2000-01-01T00:00:00Z
say "Site" "사이트"
check "the demo site answers" "데모 사이트가 응답함" get "$site/"
for _ in $(seq 50); do get -o /dev/null "$site/" 2>/dev/null || true; done
check "requests are counted" "요청이 세어짐" within 30 answer 'rate(nginx_http_requests_total[1m]) > 0'
if [ "$form" = native ]; then
  say "Grafana and the log stack are not part of the lab without Docker" "Docker 없는 실습실에는 Grafana와 로그 스택이 없습니다"
elif runs grafana; then
  say "Grafana" "Grafana"
  check "Grafana is healthy" "Grafana 정상" get "$grafana/api/health"
  # shellcheck disable=SC2317
  boards() { printf 'user = "admin:%s"\n' "$(compose exec -T grafana cat /secrets/grafana-admin.password)" | get -K - "$grafana/api/search?type=dash-db" | jq -e 'length >= 8'; }
  check "dashboards are provisioned" "대시보드가 프로비저닝됨" boards
else
  say "Grafana does not run: ./setup_grafana_dashboard.sh" "Grafana가 돌고 있지 않습니다: ./setup_grafana_dashboard.sh"
fi
if [ "$form" = native ]; then
  :
elif runs elasticsearch; then
  say "Logs" "로그"
  check "Elasticsearch is yellow or green" "Elasticsearch yellow 또는 green" bash -c "curl -fsS '$elasticsearch/_cluster/health' | jq -e '.status != \"red\"'"
  check "Kibana is available" "Kibana 사용 가능" bash -c "curl -fsS '$kibana/api/status' | jq -e '.status.overall.level == \"available\"'"
  for service in nginx mysql wordpress; do
    # WordPress runs with the profile demo only.
    [ $service != wordpress ] || runs wordpress || continue
    check "documents of $service" "$service 문서" bash -c "curl -fsS '$elasticsearch/logs-*/_count?q=service.name:$service' | jq -e '.count > 0'"
  done
else
  say "The log stack does not run: ./setup_elk_stack.sh" "로그 스택이 돌고 있지 않습니다: ./setup_elk_stack.sh"
fi
echo
if [ $failures -eq 0 ]; then say "all checks passed" "모두 통과"; else say "$failures checks failed; $(logs_of SERVICE) tells more" "실패 ${failures}개. 자세히: $(logs_of 서비스)"; fi
exit $((failures > 100 ? 100 : failures))
