# shellcheck shell=bash
# What the five scripts share: the language, the compose project, bounded waits, one line a check.
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../../.." && pwd)
language=${BONGSU_LANG:-}
if [ -z "$language" ]; then case ${LC_ALL:-${LANG:-}} in ko*) language=ko ;; *) language=en ;; esac; fi
rest=()
while [ $# -gt 0 ]; do
  case $1 in
  --lang)
    language=${2:-}
    shift
    ;;
  --lang=*) language=${1#--lang=} ;;
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
  echo "unknown argument '${rest[0]}'; there is only --lang ko|en" >&2
  exit 2
}

say() { if [ "$language" = ko ]; then printf '%s\n' "$2"; else printf '%s\n' "$1"; fi; }
die() {
  say "$@" >&2
  exit 1
}
# More options for `docker compose up`, such as: --pull never --no-build
read -ra up_options <<<"${BONGSU_UP_OPTIONS:-}"
export up_options
compose() { docker compose -f "$root/deploy/compose.yaml" "$@"; }
prometheus=http://127.0.0.1:${BONGSU_PROMETHEUS_PORT:-9090}
alertmanager=http://127.0.0.1:${BONGSU_ALERTMANAGER_PORT:-9093}
sink=http://127.0.0.1:${BONGSU_WEBHOOK_PORT:-5000}
site=http://127.0.0.1:${BONGSU_SITE_PORT:-8088}
grafana=http://127.0.0.1:${BONGSU_GRAFANA_PORT:-3000}
elasticsearch=http://127.0.0.1:${BONGSU_ELASTICSEARCH_PORT:-9200}
export prometheus alertmanager sink site grafana elasticsearch

need() { command -v "$1" >/dev/null || die "$1 is missing: apt-get install $2" "$1 없음: apt-get install $2"; }
need docker docker.io
need curl curl
need jq jq
docker info >/dev/null 2>&1 || die "Docker's daemon does not answer" "Docker 데몬이 응답하지 않습니다"

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
