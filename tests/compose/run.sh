#!/usr/bin/env bash
# run.sh CACHE BINARIES: a real `docker compose up` of deploy/compose.yaml. Public images are stand-ins (standins.sh), ours
# are built from static BINARIES. Grafana has no stand-in and is left out.
set -uo pipefail
cache=${1:?usage: run.sh CACHE BINARIES}
bins=${2:?usage: run.sh CACHE BINARIES}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
# shellcheck source=tests/lab/check.sh
source "$root/tests/lab/check.sh"
# shellcheck source=tests/compose/daemon.sh
source "$here/daemon.sh"
mkdir -p "$cache"

export DOCKER_CONFIG=$cache/docker COMPOSE_PROJECT_NAME=bongsu-test
export BONGSU_PROMETHEUS_PORT=31090 BONGSU_ALERTMANAGER_PORT=31093 BONGSU_WEBHOOK_PORT=31500 BONGSU_NODE_PORT=31100 BONGSU_CADVISOR_PORT=31080 \
  BONGSU_MYSQL_EXPORTER_PORT=31104 BONGSU_NGINX_EXPORTER_PORT=31113 BONGSU_LOG_PORT=31144 BONGSU_CUSTOM_PORT=31800 BONGSU_SITE_PORT=31088
prometheus=http://127.0.0.1:31090 sink=http://127.0.0.1:31500 site=http://127.0.0.1:31088
compose() { docker compose --progress plain -f "$root/deploy/compose.yaml" "$@"; }
finish() {
  compose --profile demo down -v --timeout 5 >/dev/null 2>&1
  docker rm -f bongsu-test-dsn bongsu-test-all >/dev/null 2>&1
  stop_daemon
}
trap finish EXIT

start_daemon "$cache/daemon" || { check "a Docker daemon" false; verdict; exit 1; }
begin=$(now_ms)
if ! "$here/standins.sh" "$cache"; then check "stand-in images" false; verdict; exit 1; fi
figure "stand-in images made or found" "$(since "$begin")"

ours=()
declare -A job_of=([webhook]=webhook-sink [node-exporter]=node-exporter [mysql-exporter]=mysqld-exporter [nginx-exporter]=nginx-exporter [log-exporter]=log-exporter [cadvisor]=container-exporter [custom-exporter]=custom-exporter)
services=(prometheus alertmanager nginx-proxy mysql-wordpress wordpress load load-sql keeper)
jobs=(prometheus alertmanager)
for service in "${!job_of[@]}"; do
  binary=${job_of[$service]}
  case " ${BONGSU_SKIP:-} " in *" $binary "*) echo "left out: $service"; continue ;; esac
  ours+=("$binary")
  services+=("$service")
  jobs+=("${service/#webhook/webhook-sink}")
done
check "our images" env SHELL_IMAGE=bongsu-standin/base:trixie-2 "$here/images.sh" "$bins" "${ours[@]}"

check "compose.yaml is valid" compose --profile demo --profile logs config -q
# By the front door, as users do; Grafana has no stand-in.
left_out="grafana"
for service in "${!job_of[@]}"; do printf '%s\n' "${services[@]}" | grep -qx "$service" || left_out="$left_out $service"; done
export BONGSU_UP_OPTIONS="--pull never --no-build"
begin=$(now_ms)
if ! BONGSU_LANG=en BONGSU_SKIP=$left_out "$root/lab" up --docker --profile demo >"$cache/up.log" 2>&1; then
  tail -n 5 "$cache/up.log"
  compose ps -a --format '{{.Service}} {{.Status}}'
  compose logs --no-color --tail 15 2>&1 | tail -n 120
  check "./lab up --docker" false
  verdict
  exit 1
fi
check "./lab up --docker" true
figure "./lab up --docker, WordPress with it" "$(since "$begin")"
all_up() { for name in "${jobs[@]}"; do jobs_up "$prometheus" | grep -qx "$name" || return 1; done; }
check "every target is up (${#jobs[@]})" within 60 all_up
figure "from up to all targets up" "$(since "$begin")"
for name in "${jobs[@]}"; do check "job $name is up" quiet grep -qx "$name" <(jobs_up "$prometheus"); done

value() { curl -fsS --max-time 5 -G "$prometheus/api/v1/query" --data-urlencode "query=$1" | jq -e --argjson want "$2" '.data.result | length > 0 and all(.[]; (.value[1] | tonumber) == $want)'; }
positive() { curl -fsS --max-time 5 -G "$prometheus/api/v1/query" --data-urlencode "query=$1" | jq -e '.data.result | length > 0 and all(.[]; (.value[1] | tonumber) > 0)'; }
check "mysql_up is 1" within 30 value mysql_up 1
check "nginx_up is 1" within 30 value nginx_up 1
check "the exporters see requests and queries" within 40 positive 'rate(nginx_http_requests_total[1m]) and on () rate(mysql_global_status_queries[1m])'
check "the site answers" quiet curl -fsS "$site/"
check "node-exporter sees the host's network, not its own" quiet positive 'count(node_network_up{device="docker0"})'
if printf '%s\n' "${ours[@]}" | grep -qx container-exporter; then
  check "containers have names" within 30 positive 'count(container_memory_working_set_bytes{name=~"bongsu-test-nginx-proxy.*"})'
  check "their writable layers are found" within 90 positive 'count(container_fs_limit_bytes{name=~"bongsu-test-nginx-proxy.*"})'
fi
check "the Watchdog is in the sink" within 60 delivered "$sink" firing Watchdog
check "the Watchdog's runbook is served" quiet curl -fsS "$prometheus/consoles/runbooks/Watchdog.html"

hardened() {
  local container
  for container in $(compose ps -aq); do
    docker inspect -f '{{.Name}}|{{.HostConfig.ReadonlyRootfs}}|{{.HostConfig.CapDrop}}|{{.HostConfig.SecurityOpt}}|{{.HostConfig.Privileged}}|{{.HostConfig.Memory}}' "$container" |
      awk -F'|' '$2 != "true" || $3 != "[ALL]" || $4 !~ /no-new-privileges/ || $5 != "false" || $6 == 0 {print; bad = 1} END {exit bad}' || return 1
  done
}
check "every container is read-only, without capabilities, unprivileged and limited" hardened
loopback() { ! docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Ports}}' | grep -E '(0\.0\.0\.0|\[?::\]?):'; }
check "ports are published on 127.0.0.1 only" loopback
no_secret() {
  local secrets pattern=$cache/secrets.pattern status=0
  secrets=$(docker run --rm --network none -v "${COMPOSE_PROJECT_NAME}_secrets:/s:ro" --entrypoint bash mariadb:11.8 -c 'for f in /s/*.password; do cat "$f"; echo; done')
  (umask 077 && printf '%s\n' "$secrets" | grep . >"$pattern")
  [ -s "$pattern" ] || return 1
  for container in $(compose ps -aq); do
    if docker inspect "$container" | grep -qFf "$pattern"; then echo "a secret in docker inspect of $container"; status=1; fi
    if docker logs "$container" 2>&1 | grep -qFf "$pattern"; then echo "a secret in docker logs of $container"; status=1; fi
  done
  rm -f "$pattern"
  return $status
}
check "no secret in docker inspect or docker logs" no_secret

quiet within 60 test "$(firing "$prometheus")" = Watchdog
check "nothing fires but the Watchdog (fires: $(firing "$prometheus" | tr '\n' ' '))" test "$(firing "$prometheus")" = Watchdog

check "WordPress answers through nginx" bash -c "curl -sS -o /dev/null -w '%{http_code}' '$site/wp-login.php' | grep -qE '^(200|302)$'"
python3 "$root/tests/lab/dashboards.py" "$prometheus" "$root" "${BONGSU_PARITY:-$root/../shared/parity}"
check "dashboards, those of containers with them" test $? -eq 0

# The lab's five scripts, on containers.
scripts=$root/deploy/lab_scripts/lab1
check "setup_prometheus_stack.sh, a second time" quiet "$scripts/setup_prometheus_stack.sh" --docker
begin=$(now_ms)
check "setup_alerting_test.sh" "$scripts/setup_alerting_test.sh" --docker
figure "setup_alerting_test.sh, from stop to resolved" "$(since "$begin")"
check "test_monitoring_system.sh finds no failure" "$scripts/test_monitoring_system.sh" --docker --lang ko

quiet compose restart webhook
check "a restarted sink still has what it accepted" within 30 delivered "$sink" resolved NginxDown
check "./lab up --docker a second time" quiet env BONGSU_SKIP="$left_out" "$root/lab" up --docker --profile demo
check "every target is up again" within 60 all_up

# The lab document's own command line, word for word but for the image.
password=$(docker run --rm --network none -v "${COMPOSE_PROJECT_NAME}_secrets:/s:ro" --entrypoint cat mariadb:11.8 /s/wordpress.password)
if printf '%s\n' "${ours[@]}" | grep -qx mysqld-exporter; then
  docker run -d --name bongsu-test-dsn --network "${COMPOSE_PROJECT_NAME}_app" -p 127.0.0.1:31204:9104 \
    -e DATA_SOURCE_NAME="wpuser:$password@(mysql-wordpress:3306)/" bongsu/mysqld-exporter:0.1.0 >/dev/null
  check "the document's DATA_SOURCE_NAME works" within 20 bash -c 'curl -fsS http://127.0.0.1:31204/metrics | grep -qx "mysql_up 1"'
fi
unset password

# The image that holds all: two services of it, and the end of one ends the container.
docker run -d --name bongsu-test-all --read-only --cap-drop ALL --tmpfs /data:uid=65534 -e BONGSU_SERVICES="node-exporter webhook-sink" -e NODE_EXPORTER_FLAGS=--log.level=debug \
  -p 127.0.0.1:31301:9100 -p 127.0.0.1:31302:5000 bongsu/all-in-one:0.1.0 >/dev/null
all_healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' bongsu-test-all)" = healthy ]; }
check "the image all-in-one is healthy" within 30 all_healthy
check "and serves what was asked for" bash -c 'curl -fsS http://127.0.0.1:31301/metrics | grep -q ^node_load1 && curl -fsS http://127.0.0.1:31302/-/ready >/dev/null'
# shellcheck disable=SC2016
quiet docker exec bongsu-test-all sh -c 'kill $(pidof node-exporter)'
all_ended() { [ "$(docker inspect -f '{{.State.Status}}' bongsu-test-all)" = exited ]; }
check "and ends when one of its services does" within 20 all_ended
quiet docker rm -f bongsu-test-all

for service in "${services[@]}"; do
  container=$(compose ps -q "$service")
  pid=$(docker inspect -f '{{.State.Pid}}' "$container" 2>/dev/null)
  figure "RSS of $service in its container" "$(awk '/^VmRSS:/ {printf "%.1f MiB", $2 / 1024}' "/proc/$pid/status" 2>/dev/null)"
done
begin=$(now_ms)
check "./lab down --docker --purge" quiet "$root/lab" down --docker --purge
figure "time of compose down" "$(since "$begin")"
check "no container is left" test -z "$(docker ps -aq --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")"
verdict
