#!/usr/bin/env bash
# Keeps the logs of FOLDER bounded: a file past 5 MiB is copied to FILE.1 and emptied. The writers append, so they go on.
set -uo pipefail
folder=${1:?}
limit=${LIMIT_BYTES:-5242880}
while [ -d "$folder" ]; do
  for file in "$folder"/*.log; do
    [ -f "$file" ] || continue
    if [ "$(stat -c %s "$file" 2>/dev/null || echo 0)" -gt "$limit" ]; then
      cp -p "$file" "$file.1" && truncate -s 0 "$file"
    fi
  done
  sleep 20
done
