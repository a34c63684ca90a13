#!/usr/bin/env bash
# Step 4 of the lab: stops nginx, shows the alert from firing to the sink, starts nginx, shows it resolved. --lang ko|en, --docker, --native
set -uo pipefail
# shellcheck source=deploy/lab_scripts/lab1/words.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/words.sh"

for service in prometheus alertmanager webhook nginx-exporter nginx-proxy; do
  runs $service || die "$service does not run: ./setup_prometheus_stack.sh first" "$service 서비스가 돌고 있지 않습니다. 먼저 ./setup_prometheus_stack.sh"
done
trap 'start_service nginx-proxy' EXIT
trap 'exit 130' INT TERM
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
began=$SECONDS
say "Stopping nginx …" "nginx를 멈춥니다 …"
stop_service nginx-proxy || die "nginx does not stop" "nginx가 멈추지 않습니다"
in_alertmanager() { get "$alertmanager/api/v2/alerts" | jq -e 'any(.[]; .labels.alertname == "NginxDown")'; }
within 90 in_alertmanager || die "NginxDown did not reach Alertmanager" "NginxDown이 Alertmanager에 오지 않았습니다"
say "  $((SECONDS - began)) s  Alertmanager has NginxDown" "  $((SECONDS - began))초  Alertmanager에 NginxDown"
within 90 in_sink NginxDown firing "$since" || die "NginxDown did not reach the sink" "NginxDown이 싱크에 오지 않았습니다"
say "  $((SECONDS - began)) s  the sink has it: $sink/" "  $((SECONDS - began))초  싱크에 도착: $sink/"
say "Starting nginx …" "nginx를 시작합니다 …"
began=$SECONDS
start_service nginx-proxy || die "nginx does not start" "nginx가 시작하지 않습니다"
within 90 in_sink NginxDown resolved "$since" || die "the sink was not told that it is over" "싱크에 해결 알림이 오지 않았습니다"
say "  $((SECONDS - began)) s  resolved" "  $((SECONDS - began))초  해결됨"
