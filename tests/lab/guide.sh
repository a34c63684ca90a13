#!/usr/bin/env bash
# guide.sh PAGE...: runs every block ```sh run of the pages in the lab that BONGSU_LAB_DIR and BONGSU_PORT_OFFSET name. The pages
# have the document's ports; a block must succeed and say something.
set -uo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit 1
failed=0 ran=0
for page in "$@"; do
  while IFS= read -r -d '' block; do
    ran=$((ran + 1))
    block=$(BY=${BONGSU_PORT_OFFSET:-0} perl -pe 's/localhost:(\d+)/"127.0.0.1:" . ($1 + $ENV{BY})/ge' <<<"$block")
    if ! output=$(timeout 60 bash -uo pipefail -c "set -e; $block" 2>&1) || [ -z "$output" ]; then
      printf '%s: this block failed:\n%s\n-- it said:\n%s\n' "$page" "$block" "$output"
      failed=$((failed + 1))
    fi
  done < <(awk '/^```sh run$/ {inside = 1; next} /^```/ {if (inside) printf "%c", 0; inside = 0; next} inside' "$page")
done
echo "$ran blocks, $failed failed"
[ $failed -eq 0 ] && [ $ran -gt 0 ]
