# shellcheck shell=bash
# What the five scripts share: the language, the lab in its two forms (containers, or the plain processes of ./lab up),
# bounded waits, one line a check.
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../../.." && pwd)
language=${BONGSU_LANG:-}
if [ -z "$language" ]; then case ${LC_ALL:-${LANG:-}} in ko*) language=ko ;; *) language=en ;; esac; fi
rest=()
form=${BONGSU_LAB_FORM:-}
while [ $# -gt 0 ]; do
  case $1 in
  --lang)
    language=${2:-}
    shift
    ;;
  --lang=*) language=${1#--lang=} ;;
  --native) form=native ;;
  --docker) form=docker ;;
  *) rest+=("$1") ;;
  esac
  shift
done
case $language in ko | en) ;; *)
  echo "--lang is ko or en, not '$language'" >&2
  exit 2
  ;;
esac
[ ${#rest[@]} -eq 0 ] || {
  echo "unknown argument '${rest[0]}'; there are: --lang ko|en, --docker, --native" >&2
  exit 2
}

say() { if [ "$language" = ko ]; then printf '%s\n' "$2"; else printf '%s\n' "$1"; fi; }
die() {
  say "$@" >&2
  exit 1
}
need() { command -v "$1" >/dev/null || die "$1 is missing: apt-get install $2" "$1 없음: apt-get install $2"; }
need curl curl
need jq jq
export BONGSU_LANG=$language
docker_answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }
# The lab without Docker when it is there, or when there is no Docker.
if [ -z "$form" ]; then
  if [ -e "${BONGSU_LAB_DIR:-$root/.lab}/run/prometheus.pid" ] || ! docker_answers; then form=native; else form=docker; fi
fi

# More options for `docker compose up`, such as: --pull never --no-build
read -ra up_options <<<"${BONGSU_UP_OPTIONS:-}"
export up_options
if [ "$form" = docker ]; then
  need docker docker.io
  docker info >/dev/null 2>&1 || die "Docker's daemon does not answer; without Docker: --native" "Docker 데몬이 응답하지 않습니다. Docker 없이: --native"
  compose() { docker compose -f "$root/deploy/compose.yaml" "$@"; }
  start_service() { compose start "$1" >/dev/null 2>&1; }
  stop_service() { compose stop "$1" >/dev/null 2>&1; }
  runs() { [ "$(compose --profile logs --profile demo ps -q --status running "$1" 2>/dev/null | wc -l)" -ge 1 ]; }
  logs_of() { echo "docker compose -f deploy/compose.yaml logs $1"; }
  at() { echo "http://127.0.0.1:${!1:-$(($2 + ${BONGSU_PORT_OFFSET:-0}))}"; }
else
  compose() { die "this step needs Docker" "이 단계에는 Docker가 필요합니다"; }
  start_service() { "$root/lab" start "$1" >/dev/null; }
  stop_service() { "$root/lab" stop "$1" >/dev/null; }
  # The names of compose.yaml are among those that ./lab knows.
  native_name() { case $1 in nginx-proxy) echo nginx ;; mysql-wordpress) echo mysql ;; webhook) echo webhook-sink ;; *) echo "$1" ;; esac; }
  runs() { "$root/lab" status 2>/dev/null | awk -v s="$(native_name "$1")" '$1 == s && $2 == "running" {found = 1} END {exit !found}'; }
  logs_of() { echo "./lab logs $1"; }
  at() { echo "http://127.0.0.1:$(($2 + ${BONGSU_PORT_OFFSET:-0}))"; }
fi
prometheus=$(at BONGSU_PROMETHEUS_PORT 9090)
alertmanager=$(at BONGSU_ALERTMANAGER_PORT 9093)
sink=$(at BONGSU_WEBHOOK_PORT 5000)
site=$(at BONGSU_SITE_PORT 8088)
grafana=$(at BONGSU_GRAFANA_PORT 3000)
elasticsearch=$(at BONGSU_ELASTICSEARCH_PORT 9200)
kibana=$(at BONGSU_KIBANA_PORT 5601)
export form prometheus alertmanager sink site grafana elasticsearch kibana

# within SECONDS COMMAND...: until it succeeds
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 1
  done
}
get() { curl -fsS --max-time 5 "$@"; }

failures=0
# check ENGLISH KOREAN COMMAND...
check() {
  local english=$1 korean=$2
  shift 2
  if "$@" >/dev/null 2>&1; then
    say "  ok    $english" "  정상  $korean"
  else
    say "  FAIL  $english" "  실패  $korean"
    failures=$((failures + 1))
  fi
}
targets_up() { [ "$(get "$prometheus/api/v1/targets?state=active" | jq '[.data.activeTargets[] | select(.health != "up")] | length')" = 0 ]; }
in_sink() { # ALERT STATE SINCE
  get -G "$sink/api/v1/alerts" --data-urlencode "state=$2" --data-urlencode "q=alertname=\"$1\"" --data-urlencode "from=$3" | jq -e '.alerts | length > 0'
}
