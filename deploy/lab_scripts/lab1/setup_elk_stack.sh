#!/usr/bin/env bash
# Step 3 of the lab: Elasticsearch, Logstash, Filebeat and Kibana (profile logs, 4 GiB of memory). Safe to run again. --lang ko|en
set -uo pipefail
# shellcheck source=deploy/lab_scripts/lab1/words.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/words.sh"

[ "$form" = docker ] || die "Debian has no packages of the log stack, so this step needs the lab in containers: ./lab down, then ./lab up --docker" "데비안에는 로그 스택의 패키지가 없어 이 단계는 컨테이너 실습실에서만 할 수 있습니다: ./lab down 다음에 ./lab up --docker"
maps=$(cat /proc/sys/vm/max_map_count)
[ "$maps" -ge 262144 ] || die "vm.max_map_count is $maps, Elasticsearch needs 262144: sysctl -w vm.max_map_count=262144" "vm.max_map_count가 $maps 입니다. 262144가 필요합니다: sysctl -w vm.max_map_count=262144"
memory=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo)
[ "$memory" -ge 4000 ] || die "$memory MiB of memory are free, 4000 are needed" "남은 메모리 $memory MiB, 4000 MiB가 필요합니다"
say "Starting Elasticsearch, Logstash, Filebeat and Kibana …" "Elasticsearch, Logstash, Filebeat, Kibana를 시작합니다 …"
compose --profile logs up -d --wait --wait-timeout 400 "${up_options[@]}" elasticsearch logstash filebeat kibana kibana-setup || {
  compose --profile logs ps -a
  die "the log stack did not come up" "로그 스택이 올라오지 않았습니다"
}
health() { get "$elasticsearch/_cluster/health" | jq -e '.status == "green" or .status == "yellow"'; }
within 120 health || die "Elasticsearch is neither yellow nor green" "Elasticsearch 상태가 yellow나 green이 아닙니다"
documents() { get "$elasticsearch/logs-*/_count" | jq -e '.count > 0'; }
within 120 documents || die "no document has arrived in logs-* within two minutes" "2분 안에 logs-*에 문서가 들어오지 않았습니다"
say "Documents in logs-*: $(get "$elasticsearch/logs-*/_count" | jq .count)" "logs-* 문서 수: $(get "$elasticsearch/logs-*/_count" | jq .count)"
say "Kibana: $kibana   the saved searches are under Discover" "Kibana: $kibana   저장된 검색은 Discover에 있습니다"
