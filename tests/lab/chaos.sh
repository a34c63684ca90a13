#!/usr/bin/env bash
# Every fault of `./lab chaos` in one lab with quick rules: its alert must reach the sink and end again. Faults that do not
# touch each other run side by side. Then one fault with the shipped rules, interrupted: everything must be as before.
set -uo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/lab/check.sh
source "$root/tests/lab/check.sh"
export BONGSU_PORT_OFFSET=${BONGSU_PORT_OFFSET:-11000} BONGSU_LANG=en
parent=$(mktemp -d /tmp/bongsu-chaos.XXXXXX)
chmod 755 "$parent"
export BONGSU_LAB_DIR=$parent/lab
finish() {
  "$root/lab" down --purge >/dev/null 2>&1
  rm -rf "$parent"
}
trap finish EXIT

begin=$(now_ms)
if ! BONGSU_QUICK_RULES=yes "$root/lab" up >"$parent/up.log" 2>&1; then
  tail -n 20 "$parent/up.log"
  check "./lab up" false
  verdict
  exit 1
fi
check "an unknown fault is refused" bash -c "! '$root/lab' chaos nonsense 2>/dev/null"
listed() { "$root/lab" chaos | awk 'NR > 1 {print $1}'; }

judge() { # FAULT STATUS
  cat "$parent/$1.log"
  if [ "$2" -eq 77 ]; then
    echo "skipped: chaos $1"
  else
    check "chaos $1" test "$2" -eq 0
  fi
}
# What shares a line neither inhibits the other's alert nor stops what the other needs.
ran=()
while read -ra faults; do
  declare -A pid=()
  for fault in "${faults[@]}"; do
    "$root/lab" chaos "$fault" >"$parent/$fault.log" 2>&1 &
    pid[$fault]=$!
  done
  for fault in "${faults[@]}"; do
    wait "${pid[$fault]}"
    judge "$fault" $?
    ran+=("$fault")
  done
done <<'ROUNDS'
cpu disk mysql-slow errors
memory clock mysql-down nginx-down
alertmanager-down
sink-down
ROUNDS
check "every fault of the list was tried" test "$(listed | sort)" = "$(printf '%s\n' "${ran[@]}" | sort)"

# Ctrl-C in the midst of a fault, in a lab with the shipped rules.
check "./lab up with the shipped rules" quiet "$root/lab" up
shipped() { diff -r "$root/deploy/prometheus/rules" "$BONGSU_LAB_DIR/etc/prometheus/rules"; }
check "the shipped rules are back" shipped
"$root/lab" chaos nginx-down >"$parent/interrupted.log" 2>&1 &
interrupted=$!
nginx_stopped() { ! curl -fsS --max-time 1 "http://127.0.0.1:$((8088 + BONGSU_PORT_OFFSET))/healthz"; }
check "the fault begins" within 30 nginx_stopped
kill -TERM $interrupted
wait $interrupted
check "an interrupted fault exits with 130" test $? -eq 130
check "nginx runs again after an interrupted fault" within 10 curl -fsS "http://127.0.0.1:$((8088 + BONGSU_PORT_OFFSET))/healthz"
check "the rules are the shipped ones after an interrupted fault" shipped
# What the fault started again would hold them.
check "no lock is left after a fault" bash -c "flock -n '$BONGSU_LAB_DIR/.chaos.lock' true && flock -n '$BONGSU_LAB_DIR/.lock' true"

check "every service runs after all faults" quiet "$root/lab" status
check "no mount is left" bash -c "! grep -q '$parent' /proc/mounts"
check "./lab down --purge" quiet "$root/lab" down --purge
check "nothing is left of the folder" test ! -e "$BONGSU_LAB_DIR"
figure "the whole chaos list" "$(since "$begin")"
verdict
