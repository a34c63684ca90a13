# shellcheck shell=bash
# Checks of the lab's tests: each is a line, all are counted, the script's exit code tells.
checks=0
failures=0
check() { # WHAT COMMAND...
  local what=$1
  shift
  checks=$((checks + 1))
  if "$@"; then
    printf 'ok    %s\n' "$what"
  else
    printf 'FAIL  %s\n' "$what"
    failures=$((failures + 1))
  fi
}
quiet() { "$@" >/dev/null 2>&1; }
figure() { printf 'figure  %-44s %s\n' "$1" "$2"; }
verdict() {
  printf 'test result: %s. %d passed; %d failed; 0 ignored\n' "$([ $failures -eq 0 ] && echo ok || echo FAILED)" $((checks - failures)) $failures
  [ $failures -eq 0 ]
}

now_ms() { date +%s%3N; }
since() { # MILLISECONDS: seconds with one decimal
  awk -v a="$1" -v b="$(now_ms)" 'BEGIN {printf "%.1f s", (b - a) / 1000}'
}
# within SECONDS COMMAND...: until it succeeds
within() {
  local deadline=$(($(now_ms) + $1 * 1000))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$(now_ms)" -lt $deadline ] || return 1
    sleep 0.3
  done
}

# SINK STATE ALERTNAME: does the sink hold that alert in that state, begun since this test began?
begun=$(date -u +%Y-%m-%dT%H:%M:%SZ)
delivered() {
  curl -fsS --max-time 5 -G "$1/api/v1/alerts" --data-urlencode "state=$2" --data-urlencode "q=alertname=\"$3\"" --data-urlencode "from=$begun" |
    jq -e '.alerts | length > 0'
}
# PROMETHEUS: jobs that are up, one a line
jobs_up() { curl -fsS --max-time 5 "$1/api/v1/targets?state=active" | jq -r '.data.activeTargets[] | select(.health == "up") | .labels.job' | sort; }
# PROMETHEUS: alerts that fire, one a line
firing() { curl -fsS --max-time 5 "$1/api/v1/alerts" | jq -r '.data.alerts[] | select(.state == "firing") | .labels.alertname' | sort -u; }
