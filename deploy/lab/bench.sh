#!/usr/bin/env bash
# ./lab bench SERVICE [ARGUMENTS]: ours beside the Go original in one run. The benchmarks live in tests/bench/.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/lab/base.sh
source "$root/deploy/lab/base.sh"

there() { find "$root/tests/bench" -maxdepth 1 -type f -perm -u+x 2>/dev/null | sed 's#.*/##; s#\.sh$##' | sort | tr '\n' ' '; }
[ $# -ge 1 ] || die "bench needs a service; there are: $(there)" "bench에는 서비스가 필요합니다. 있는 것: $(there)"
service=$(canonical "$1")
shift
for file in "$root/tests/bench/$service" "$root/tests/bench/$service.sh" "$root/tests/bench/${service%-exporter}" "$root/tests/bench/${service%-exporter}.sh"; do
  [ ! -f "$file" ] || [ ! -x "$file" ] || exec "$file" "$@"
done
die "there is no benchmark of '$service'; there are: $(there)" "'$service' 벤치마크는 없습니다. 있는 것: $(there)"
