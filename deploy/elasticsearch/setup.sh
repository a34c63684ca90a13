#!/bin/bash
# Puts the life cycle and the index template; safe to run again.
set -euo pipefail
put() { curl -fsS -X PUT -H 'Content-Type: application/json' --data-binary "@$2" "http://elasticsearch:9200/$1"; echo; }
put _ilm/policy/bongsu-logs /elasticsearch/policy.json
put _index_template/bongsu-logs /elasticsearch/template.json
