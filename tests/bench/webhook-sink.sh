#!/usr/bin/env bash
# The sink beside the Flask script that it replaces, in one run: wrk posts 1 KB at concurrency 64, 22 KB at 8, 1 KB at 1.
# Also: the bare append+fdatasync of this disk, resident memory, and the time to ready with many stored events.
# usage: tests/bench/webhook-sink.sh [SECONDS]   (BONGSU_BIN_DIR: where webhook-sink is; EVENTS: stored events, 1000000)
set -euo pipefail
seconds=${1:-10}
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
sink=${BONGSU_BIN_DIR:-$root/target/release}/webhook-sink
work=$(mktemp -d)
pids=()
finish() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$work"; }
trap finish EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet flask
cat >"$work/flask_sink.py" <<'PY'
import json, sys
from datetime import datetime
from flask import Flask, request, jsonify
import logging
logging.getLogger("werkzeug").setLevel(logging.ERROR)
app = Flask(__name__)

@app.route("/alerts", methods=["POST"])
def alerts():
    print(f"[{datetime.now()}] Received alerts:")
    print(json.dumps(request.json, indent=2))
    return jsonify({"status": "received"})

app.run(host="127.0.0.1", port=int(sys.argv[1]))
PY
cat >"$work/body.py" <<'PY'
import json, sys
n, pad = int(sys.argv[1]), int(sys.argv[2])
alert = lambda i: {"status": "firing", "labels": {"alertname": "Bench", "instance": f"web{i}:9100", "severity": "warning"},
  "annotations": {"summary": "x" * pad}, "startsAt": "2026-11-22T13:09:50Z", "endsAt": "0001-01-01T00:00:00Z",
  "generatorURL": "http://prometheus:9090/graph", "fingerprint": f"{i:016x}"}
print(json.dumps({"receiver": "r", "status": "firing", "alerts": [alert(i) for i in range(n)], "groupLabels": {},
  "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am", "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0}))
PY
python3 "$work/body.py" 1 500 >"$work/1k.json"
python3 "$work/body.py" 50 130 >"$work/22k.json"
cat >"$work/post.lua" <<'LUA'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local f = io.open(os.getenv("BODY"), "rb"); wrk.body = f:read("*a"); f:close()
LUA
wait_port() { for _ in $(seq 100); do (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return; sleep 0.1; done; echo "nobody on port $1" >&2; exit 1; }
# rate and p99 in ms
load() { # port body concurrency
  BODY=$work/$2 wrk -t1 -c"$3" -d"${seconds}s" --latency -s "$work/post.lua" "http://127.0.0.1:$1/alerts" >"$work/out"
  ! grep -q 'Non-2xx' "$work/out" || { cat "$work/out" >&2; exit 1; }
  awk '/Requests\/sec/ {r=$2} /99%/ {v=$2; if (v ~ /us$/) v/=1000; else if (v ~ /ms$/) v+=0; else v*=1000; p=v} END {printf "%.0f %.2f", r, p}' "$work/out"
}
rss() { awk '/VmRSS/ {printf "%.1f", $2/1024}' "/proc/$1/status"; }

"$work/venv/bin/python" "$work/flask_sink.py" 15055 >/dev/null 2>&1 & pids+=($!)
"$sink" --web.listen-address=127.0.0.1:15056 --storage.path="$work/data" --print=pretty >/dev/null 2>&1 & ours=$!; pids+=("$ours")
wait_port 15055; wait_port 15056
sleep 1
echo "idle resident memory: $(rss "$ours") MiB"
printf '%-28s %10s %10s %10s %10s %8s %8s\n' load flask/s ours/s 'flask p99' 'ours p99' ratio p99
for case in "1k.json 64" "22k.json 8" "1k.json 1"; do
  read -r body c <<<"$case"
  read -r fr fp <<<"$(load 15055 "$body" "$c")"
  read -r or op <<<"$(load 15056 "$body" "$c")"
  awk -v n="$body, concurrency $c" -v fr="$fr" -v fp="$fp" -v or="$or" -v op="$op" \
    'BEGIN {printf "%-28s %10d %10d %10.2f %10.2f %7.1fx %7.2f\n", n, fr, or, fp, op, or/fr, op/fp}'
done
echo "resident memory after the load: $(rss "$ours") MiB"
python3 - "$work/append" "$or" <<'PY'
import os, sys, time
f = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
n, body, start = 500, b"x" * 1024, time.monotonic()
for _ in range(n): os.write(f, body); os.fdatasync(f)
bare = (time.monotonic() - start) / n
print(f"bare append+fdatasync of 1 KB: {bare*1e3:.3f} ms; a delivery at concurrency 1: {1e3/float(sys.argv[2]):.3f} ms = {1/float(sys.argv[2])/bare:.2f}x")
PY
