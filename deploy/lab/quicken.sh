# shellcheck shell=bash
# Rules and routes that answer within seconds, for `./lab chaos` and its test: every `for:` is 10 s at most, rates look back
# 30 s in place of 1 to 2 minutes, Alertmanager speaks again after 5 s. Only the lab's own copies change; thresholds stay.
# shellcheck disable=SC2154

quicken_rules() { # FILE...
  sed -i -E -e 's/^( *for:) +([0-9]+m|[2-9][0-9]s|1[1-9]s) *$/\1 10s/' -e 's/\[[12]m\]/[30s]/g' "$@"
}
quicken_routes() { # FILE
  sed -i -E 's/^( *group_interval:) +15s *$/\1 5s/' "$1"
}

quick_rules() { [ -e "$lab_dir/etc/quick-rules" ]; }

reload_config() {
  local service
  for service in prometheus alertmanager; do
    if running "$service"; then kill -HUP "$(running_pid "$service")"; fi
  done
}
