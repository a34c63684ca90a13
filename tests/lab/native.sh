#!/usr/bin/env bash
# The lab as plain processes, end to end: up, all targets up, nginx stopped, the alert in the sink, resolved, down.
# Runs on ports of its own, in a folder with a blank in its name, beside any lab that is there.
set -uo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/lab/check.sh
source "$root/tests/lab/check.sh"
export BONGSU_PORT_OFFSET=${BONGSU_PORT_OFFSET:-10000} BONGSU_LANG=en
parent=${1:-$(mktemp -d /tmp/bongsu-test.XXXXXX)}
chmod 755 "$parent"
export BONGSU_LAB_DIR="$parent/a lab"
port() { echo $(($1 + BONGSU_PORT_OFFSET)); }
prometheus=http://127.0.0.1:$(port 9090)
alertmanager=http://127.0.0.1:$(port 9093)
sink=http://127.0.0.1:$(port 5000)
nobody_left() { ! pgrep -f "$BONGSU_LAB_DIR/(bin|etc|data)" >/dev/null; }
finish() {
  "$root/lab" down --purge >/dev/null 2>&1
  rm -f "$parent"/*.log
  rmdir "$parent" 2>/dev/null
}
trap finish EXIT

begin=$(now_ms)
if ! "$root/lab" up >"$parent/up.log" 2>&1; then
  tail -n 40 "$parent/up.log"
  check "./lab up" false
  verdict
  exit 1
fi
check "./lab up" true
figure "time to all up (nothing running, binaries built)" "$(since "$begin")"
cat "$parent/up.log"

expected=$(cat "$BONGSU_LAB_DIR"/etc/prometheus/targets/*.yml | grep -c targets)
check "every started service is a target that is up ($(jobs_up "$prometheus" | wc -l) of $expected)" test "$(jobs_up "$prometheus" | wc -l)" = "$expected"
for name in prometheus alertmanager node-exporter mysql-exporter nginx-exporter log-exporter webhook-sink custom-exporter cadvisor; do
  case " ${BONGSU_SKIP:-} " in *" ${name/mysql/mysqld} "* | *" ${name/cadvisor/container-exporter} "*) continue ;; esac
  check "job $name is up" grep -qx "$name" <(jobs_up "$prometheus")
done
only_loopback() {
  local pid
  for file in "$BONGSU_LAB_DIR"/run/*.pid; do
    read -r pid _ <"$file"
    if ss -Hltnp | grep "pid=$pid," | awk '{print $4}' | grep -vE '^(127\.0\.0\.1|\[::1\]):'; then return 1; fi
  done
}
check "services listen on 127.0.0.1 only" only_loopback
check "the Watchdog is in the sink" within 30 delivered "$sink" firing Watchdog

pids() { cat "$BONGSU_LAB_DIR"/run/*.pid | sort; }
before=$(pids)
begin=$(now_ms)
check "./lab up again" quiet "$root/lab" up
figure "time of a second up" "$(since "$begin")"
check "the second up leaves every process alone" test "$before" = "$(pids)"
check "./lab status" quiet "$root/lab" status
check "./lab doctor finds nothing to mend" quiet "$root/lab" doctor

taken() {
  local out
  out=$(BONGSU_LAB_DIR="$parent/other" "$root/lab" up 2>&1) && return 1
  BONGSU_LAB_DIR="$parent/other" "$root/lab" down --purge >/dev/null 2>&1
  grep -q "port .* is taken by " <<<"$out"
}
check "a taken port is named, with who has it" taken
check "an unknown service is refused" bash -c "! '$root/lab' stop nonsense 2>/dev/null"

# What speaks of the machine that the tests run on is its own matter.
of_the_machine='^Host(HighCPU|HighMemory|Disk.*|InodesLow|FileDescriptorsLow|OOMKill)$'
fires() { firing "$prometheus" | grep -vE "$of_the_machine" | tr '\n' ' '; }
check "nothing fires but the Watchdog (fires: $(fires))" test "$(fires)" = "Watchdog "
# What waits for its `for` fires later than anybody looks here.
pending() { curl -fsS --max-time 5 "$prometheus/api/v1/alerts" | jq -r '.data.alerts[] | select(.state == "pending") | .labels.alertname' | grep -vE "$of_the_machine" | sort -u; }
nothing_pending() { [ -z "$(pending)" ]; }
quiet within 60 nothing_pending
check "and nothing is about to (pending: $(pending | tr '\n' ' '))" nothing_pending

# The webhook never says that an alert was silenced: the sink asks.
begin=$(now_ms)
silence=$(amtool --alertmanager.url="$alertmanager" silence add --author=test --comment='the sink must notice' alertname=Watchdog)
check "a silenced alert goes stale in the sink" within 40 delivered "$sink" stale Watchdog
figure "silence -> stale in the sink" "$(since "$begin")"
amtool --alertmanager.url="$alertmanager" silence expire "$silence"
check "and fires again when the silence has ended" within 40 delivered "$sink" firing Watchdog

begin=$(now_ms)
"$root/lab" stop nginx >/dev/null
check "NginxDown is in the sink within 60 s of the stop" within 60 delivered "$sink" firing NginxDown
figure "stop nginx -> firing in the sink" "$(since "$begin")"
in_alertmanager() { curl -fsS "$alertmanager/api/v2/alerts" | jq -e 'any(.[]; .labels.alertname == "NginxDown")'; }
check "Alertmanager has NginxDown" quiet in_alertmanager
check "every target is still up" test "$(jobs_up "$prometheus" | wc -l)" = "$expected"
begin=$(now_ms)
"$root/lab" start nginx >/dev/null
check "NginxDown is resolved in the sink within 60 s of the start" within 60 delivered "$sink" resolved NginxDown
figure "start nginx -> resolved in the sink" "$(since "$begin")"

no_secret() {
  local file
  for file in "$BONGSU_LAB_DIR"/secrets/*.password; do
    if grep -rqFf "$file" "$BONGSU_LAB_DIR/logs" "$BONGSU_LAB_DIR/etc"; then echo "$file in logs or configuration"; return 1; fi
    if cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -qFf "$file"; then echo "$file in process arguments"; return 1; fi
  done
}
check "no secret in logs, configuration or process arguments" no_secret
check "Prometheus has no complaint about a scrape" bash -c "! grep -E 'level=(warn|error).*(scrape|Appending|append)' '$BONGSU_LAB_DIR/logs/prometheus.log'"
changing() { # EXPRESSION: has an answer above 0
  curl -fsS -G "$prometheus/api/v1/query" --data-urlencode "query=$1" | jq -e '.data.result | length > 0 and all(.[]; (.value[1] | tonumber) > 0)'
}
check "requests are counted" within 30 changing 'rate(nginx_http_requests_total[1m])'
check "queries are counted" within 30 changing 'rate(mysql_global_status_queries[1m])'
check "CPU time is counted" within 30 changing 'sum(rate(node_cpu_seconds_total[1m]))'
case " ${BONGSU_SKIP:-} " in
*" custom-exporter "*) ;;
*) check "WordPress' orders are counted, by SQL" within 60 changing 'sum(wordpress_orders)' ;;
esac
# As Logstash's http output sends it, the lines of a slow query joined by Filebeat.
from_logstash() {
  local event='[{"message":"# User@Host: shop[shop] @ localhost []\n# Thread_id: 4  Schema: wordpress  QC_hit: No\n# Query_time: 0.339121  Lock_time: 0.000739  Rows_sent: 0  Rows_examined: 20000\nSET timestamp=1795353787;\nselect 1;"}]'
  curl -fsS -o /dev/null -X POST -H 'Content-Type: application/json' --data "$event" "http://127.0.0.1:$(port 9144)/logstash/mysql" &&
    curl -fsS "http://127.0.0.1:$(port 9144)/metrics" | grep 'lab_slow_query_seconds_count{user="shop"} 1'
}
case " ${BONGSU_SKIP:-} " in
*" log-exporter "*) ;;
*)
  check "what Logstash sends is counted, by the pattern that Logstash has" quiet from_logstash
  check "requests are counted by status, from the access log" within 30 changing 'rate(nginx_http_response_count_total{status="200"}[1m])'
  ;;
esac
# What a rate over two minutes needs.
quiet within 60 changing 'count (rate(prometheus_target_interval_length_seconds_count[1m]))'
python3 "$root/tests/lab/dashboards.py" "$prometheus" "$root" "${BONGSU_PARITY:-$root/../shared/parity}"
check "dashboards" test $? -eq 0
check "the lab guide's commands run, in English" "$root/tests/lab/guide.sh" docs/lab-guide.md
check "and in Korean" "$root/tests/lab/guide.sh" docs/lab-guide.ko.md
scripts=$root/deploy/lab_scripts/lab1
check "setup_prometheus_stack.sh" quiet "$scripts/setup_prometheus_stack.sh" --native
check "setup_alerting_test.sh" "$scripts/setup_alerting_test.sh" --native
check "test_monitoring_system.sh finds no failure" "$scripts/test_monitoring_system.sh" --native --lang ko
check "setup_grafana_dashboard.sh and setup_elk_stack.sh say that they need Docker" bash -c "! '$scripts/setup_grafana_dashboard.sh' --native >/dev/null 2>&1 && ! '$scripts/setup_elk_stack.sh' --native >/dev/null 2>&1"
"$root/lab" stop nginx >/dev/null
check "test_monitoring_system.sh counts what is broken" bash -c "! '$scripts/test_monitoring_system.sh' --native >/dev/null"
"$root/lab" start nginx >/dev/null
ever() {
  curl -fsS -G "$prometheus/api/v1/query" --data-urlencode 'query=group by (alertname) (max_over_time(ALERTS{alertstate="firing"}[30m]))' |
    jq -r '.data.result[].metric.alertname' | grep -vE "$of_the_machine" | sort | tr '\n' ' '
}
check "in all this time nothing fired but what was provoked: $(ever)" test "$(ever)" = "NginxDown Watchdog "
"$root/lab" status | awk 'NR > 1 && $5 ~ /^[0-9.]+$/ {printf "figure  %-44s %s MiB\n", "RSS of " $1, $5} /^our services/ {printf "figure  %-44s %s MiB\n", "RSS of our services together", $3}'

# As the kernel does when memory is short: the first process alone, with no time for a word to its workers.
kill -KILL "$(cut -d' ' -f1 "$BONGSU_LAB_DIR/run/nginx.pid")" "$(cut -d' ' -f1 "$BONGSU_LAB_DIR/run/prometheus.pid")"
check "./lab status sees what was killed" bash -c "! '$root/lab' status >'$parent/killed.log' && [ \"\$(awk '\$2 == \"dead\" {print \$1}' '$parent/killed.log' | tr '\n' ' ')\" = 'nginx prometheus ' ]"
check "./lab up brings it back" quiet "$root/lab" up
check "and nothing else is started" test "$(sort "$BONGSU_LAB_DIR"/run/*.pid | comm -13 <(sort <<<"$before") - | wc -l)" -eq 2

mapfile -t ours < <(cut -d' ' -f1 "$BONGSU_LAB_DIR"/run/*.pid)
begin=$(now_ms)
check "./lab down" quiet "$root/lab" down
figure "time of down" "$(since "$begin")"
all_gone() {
  local pid
  for pid in "${ours[@]}"; do [ ! -e "/proc/$pid" ] || grep -q '^State:.*Z' "/proc/$pid/status" || { ps -o pid,args -p "$pid"; return 1; }; done
}
check "no process is left" all_gone
check "nobody uses the lab's files" nobody_left
check "data is kept" test -d "$BONGSU_LAB_DIR/data/prometheus"
check "./lab down --purge" quiet "$root/lab" down --purge
check "nothing is left of the folder" test ! -e "$BONGSU_LAB_DIR"
rm -f "$parent"/*.log
verdict
