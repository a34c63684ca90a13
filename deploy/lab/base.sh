# shellcheck shell=bash
# Paths, ports, words: what every part of the lab stands on. Sourced with `root` set.

# Korean when asked for, or when the terminal speaks it.
language=${BONGSU_LANG:-}
if [ -z "$language" ]; then
  case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in ko*) language=ko ;; *) language=en ;; esac
fi

# say ENGLISH KOREAN
say() { if [ "$language" = ko ]; then printf '%s\n' "$2"; else printf '%s\n' "$1"; fi; }
complain() { say "lab: $1" "lab: ${2:-$1}" >&2; }
die() { complain "$@"; exit 1; }

started_at=$(date +%s%N)
seconds_since() { # NANOSECONDS: seconds with one decimal
  local tenths=$((($(date +%s%N) - $1) / 100000000))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}
progress() { # ENGLISH KOREAN: one line with the time since the start
  printf '[%6s s] ' "$(seconds_since "$started_at")"
  say "$@"
}

lab_dir=${BONGSU_LAB_DIR:-$root/.lab}
case $lab_dir in /*) ;; *) lab_dir=$PWD/$lab_dir ;; esac
# prepare_folders leaves a link where the lab had to move; what is configured must not lead through the closed folder.
lab_link=''
if [ -L "$lab_dir" ]; then
  # shellcheck disable=SC2034  # used by service.sh
  lab_link=$lab_dir
  lab_dir=$(readlink -m "$lab_dir")
fi
offset=${BONGSU_PORT_OFFSET:-0}
case $offset in *[!0-9]* | '') die "BONGSU_PORT_OFFSET must be a number, not '$offset'" "BONGSU_PORT_OFFSET는 숫자여야 합니다: '$offset'" ;; esac

# The ports of the lab document, and the demo's own beside them.
declare -A port=(
  [prometheus]=9090 [alertmanager]=9093 [node-exporter]=9100 [mysqld-exporter]=9104 [nginx-exporter]=9113
  [container-exporter]=8080 [log-exporter]=9144 [custom-exporter]=8000 [webhook-sink]=5000
  [nginx]=8088 [stub-status]=8081 [mysql]=13306
)
for name in "${!port[@]}"; do port[$name]=$((port[$name] + offset)); done
unset name

# In starting order. The names are those of the binaries; nginx and mysql are what is watched.
readonly our_services=(webhook-sink node-exporter mysqld-exporter nginx-exporter container-exporter log-exporter custom-exporter)
readonly all_services=(mysql nginx "${our_services[@]}" alertmanager prometheus load keeper)

# Prometheus job of a service; the document's names.
# shellcheck disable=SC2034  # used by service.sh
declare -A job=(
  [prometheus]=prometheus [alertmanager]=alertmanager [node-exporter]=node-exporter [mysqld-exporter]=mysql-exporter
  [nginx-exporter]=nginx-exporter [container-exporter]=cadvisor [log-exporter]=log-exporter
  [custom-exporter]=custom-exporter [webhook-sink]=webhook-sink
)

url() { printf 'http://127.0.0.1:%s' "${port[$1]}"; }

skipped() { # SERVICE
  case " ${BONGSU_SKIP:-} " in *" $1 "*) return 0 ;; esac
  return 1
}

# The other names people know the services by.
canonical() {
  case $1 in
  mariadb | mysql-wordpress | database) echo mysql ;;
  nginx-proxy) echo nginx ;;
  cadvisor) echo container-exporter ;;
  mysql-exporter) echo mysqld-exporter ;;
  webhook | sink) echo webhook-sink ;;
  *) echo "$1" ;;
  esac
}
known_service() {
  local service
  for service in "${all_services[@]}"; do [ "$service" != "$1" ] || return 0; done
  die "there is no service '$1'; there are: ${all_services[*]}" "'$1' 서비스는 없습니다. 있는 것: ${all_services[*]}"
}
