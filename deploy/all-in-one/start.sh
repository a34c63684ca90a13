#!/bin/sh
# Process 1 of the image all-in-one: starts the services that BONGSU_SERVICES names and ends with the first that ends, so that
# the container's restart policy sees it. NAME_FLAGS (NODE_EXPORTER_FLAGS, …) are more flags for one of them.
# `start.sh healthcheck`: every one of them is well.
set -eu
services=${BONGSU_SERVICES:-node-exporter container-exporter custom-exporter webhook-sink}

flags_of() { # SERVICE
  case $1 in
  webhook-sink) echo --storage.path=/data ;;
  *-exporter) ;;
  *)
    echo "BONGSU_SERVICES: there is no service '$1'" >&2
    return 2
    ;;
  esac
  eval "printf '%s\n' \"\${$(echo "$1" | tr a-z- A-Z_)_FLAGS:-}\""
}

# Flags are parted at blanks.
# shellcheck disable=SC2086
if [ "${1:-}" = healthcheck ]; then
  for service in $services; do
    flags=$(flags_of "$service")
    "$service" healthcheck $flags
  done
  exit 0
fi

pids=
for service in $services; do
  flags=$(flags_of "$service")
  # shellcheck disable=SC2086
  "$service" $flags &
  pids="$pids $!"
done
# shellcheck disable=SC2086
trap 'kill -TERM $pids 2>/dev/null; wait; exit 0' TERM INT
while :; do
  for pid in $pids; do
    if ! kill -0 "$pid" 2>/dev/null; then
      echo "a service ended; ending the others" >&2
      # shellcheck disable=SC2086
      kill -TERM $pids 2>/dev/null || true
      wait
      exit 1
    fi
  done
  sleep 1 &
  wait $! || true
done
