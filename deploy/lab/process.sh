# shellcheck shell=bash
# Starting and ending processes. A pid file holds the pid and its start time, so that only our own are ever ended.
# shellcheck disable=SC2154

start_time() { # PID: field 22 of /proc/PID/stat, counted after the name, which may hold blanks
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  stat=${stat##*) }
  # shellcheck disable=SC2086
  set -- $stat
  [ "$1" != Z ] || return 1
  printf %s "${20}"
}

# Prints the pid when SERVICE runs.
running_pid() {
  local pid started
  read -r pid started 2>/dev/null <"$lab_dir/run/$1.pid" || return 1
  [ -n "$started" ] && [ "$(start_time "$pid" || true)" = "$started" ] && printf %s "$pid"
}
running() { running_pid "$1" >/dev/null; }

# What a service whose first process was killed has left behind, such as nginx's workers: setsid gave it a session of its own.
orphans() { # SERVICE
  local pid
  read -r pid _ 2>/dev/null <"$lab_dir/run/$1.pid" || return 0
  # Somebody's who has the number now.
  ! start_time "$pid" >/dev/null || return 0
  ps -e -o pid=,sid=,stat= | awk -v session="$pid" '$2 == session && $3 !~ /^Z/ {print $1}'
}

# spawn SERVICE USER COMMAND...: detached, in the background, its output in logs/SERVICE.log
spawn() {
  local service=$1 user=$2 pid
  shift 2
  local -a drop=()
  [ "$user" = root ] || drop=(setpriv --reuid "$user" --regid "$(id -gn "$user")" --clear-groups --no-new-privs)
  touch "$lab_dir/logs/$service.log"
  # Descriptors 8 and 9 are the locks of `chaos` and `up`: a service must not inherit them.
  (cd / && exec setsid "${drop[@]}" "$@" >>"$lab_dir/logs/$service.log" 2>&1 </dev/null 8>&- 9>&-) &
  pid=$!
  printf '%s %s\n' "$pid" "$(start_time "$pid" || echo 0)" >"$lab_dir/run/$service.pid"
}

# Ends it politely, then for good. A service that does not run is no error.
end_process() { # SERVICE [SECONDS]
  local pid deadline=$((${2:-15} * 10)) waited=0
  for pid in $(orphans "$1"); do kill -KILL "$pid" 2>/dev/null || true; done
  if pid=$(running_pid "$1"); then
    # nginx finishes its requests on QUIT; the rest take TERM.
    if [ "$1" = nginx ]; then kill -QUIT "$pid" 2>/dev/null || true; else kill -TERM "$pid" 2>/dev/null || true; fi
    while running "$1"; do
      if [ $waited -ge $deadline ]; then
        # Its children too: setsid made it the leader of a group of its own.
        kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
      fi
      [ $waited -lt $((deadline + 50)) ] || return 1
      sleep 0.1
      waited=$((waited + 1))
    done
  fi
  rm -f "$lab_dir/run/$1.pid"
}

rss_kib() { awk '/^VmRSS:/ {print $2}' "/proc/$1/status" 2>/dev/null || echo 0; }

# wait_for SECONDS SERVICE COMMAND...: until the command succeeds; fails at once when the service is dead
wait_for() {
  local limit=$(($1 * 5)) service=$2 waited=0
  shift 2
  until "$@" >/dev/null 2>&1; do
    running "$service" || return 1
    [ $waited -lt $limit ] || return 1
    sleep 0.2
    waited=$((waited + 1))
  done
}
answers() { curl -fsS -o /dev/null --max-time 2 "$1"; }

# PORT: who listens there, or nothing
listener() {
  ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (pid \2)/p; t; s/.*/another program/p' | head -n 1
}

# Ports of the lab that somebody else has: a line "SERVICE WHO" each
taken_ports() {
  local service owner who
  for service in mysql nginx stub-status "${our_services[@]}" alertmanager prometheus; do
    skipped "$service" && continue
    owner=${service/stub-status/nginx}
    if running "$owner" || [ -n "$(orphans "$owner")" ]; then continue; fi
    who=$(listener "${port[$service]}")
    [ -z "$who" ] || printf '%s %s\n' "$service" "$who"
  done
}
