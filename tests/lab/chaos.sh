#!/usr/bin/env bash
# Every fault of `./lab chaos` in a lab of its own: its alert must reach the sink and end again. Faults that do not touch
# each other run side by side, since some alerts need minutes by design. `memory` is not run here: it would leave too little
# of the machine to whatever else runs on it.
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

if ! "$root/lab" up >"$parent/up.log" 2>&1; then
  tail -n 20 "$parent/up.log"
  check "./lab up" false
  verdict
  exit 1
fi
check "an unknown fault is refused" bash -c "! '$root/lab' chaos nonsense 2>/dev/null"

aside=(cpu mysql-slow disk)
in_turn=(nginx-down mysql-down alertmanager-down sink-down clock)
declare -A pid=()
for fault in "${aside[@]}"; do
  "$root/lab" chaos "$fault" >"$parent/$fault.log" 2>&1 &
  pid[$fault]=$!
done
judge() { # FAULT STATUS
  cat "$parent/$1.log"
  if [ "$2" -eq 77 ]; then
    echo "skipped: $1"
  else
    check "chaos $1" test "$2" -eq 0
  fi
}
for fault in "${aside[@]}"; do
  wait "${pid[$fault]}"
  judge "$fault" $?
done
for fault in "${in_turn[@]}"; do
  "$root/lab" chaos "$fault" >"$parent/$fault.log" 2>&1
  judge "$fault" $?
done
check "every service runs after all faults" quiet "$root/lab" status
check "no mount is left" bash -c "! grep -q '$parent' /proc/mounts"
check "./lab down --purge" quiet "$root/lab" down --purge
check "nothing is left of the folder" test ! -e "$BONGSU_LAB_DIR"
verdict
