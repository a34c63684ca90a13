#!/usr/bin/env bash
# Makes the pages that alerts link to (deploy/prometheus/consoles/runbooks/*.html, served by Prometheus itself) from
# docs/runbooks/*.md. `--check`: says what is missing or out of date instead, and fails.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
pages=$root/deploy/prometheus/consoles/runbooks
check=${1:-}
failed=0

# Headings, paragraphs, code blocks: all that a runbook uses. Prometheus expands templates in what it serves, so
# braces are written as entities.
page() {
  awk '
    function escape(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s); gsub(/[{]/, "\\&#123;", s); gsub(/[}]/, "\\&#125;", s); return s }
    NR == 1 { sub(/^# /, ""); printf "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>%s</title>\n<style>body{max-width:44rem;margin:2rem auto;padding:0 1rem;font:17px/1.6 system-ui,sans-serif}pre{background:#f3f0eb;padding:.8rem;overflow:auto}</style>\n</head>\n<body>\n<h1>%s</h1>\n", $0, $0; next }
    /^```/ { code = !code; print code ? "<pre>" : "</pre>"; next }
    code { print escape($0); next }
    /^## / { sub(/^## /, ""); print "<h2>" escape($0) "</h2>"; next }
    /^$/ { next }
    { print "<p>" escape($0) "</p>" }
    END { print "</body>\n</html>" }
  ' "$1"
}

mkdir -p "$pages"
for source in "$root"/docs/runbooks/*.md; do
  target=$pages/$(basename "${source%.md}").html
  if [ "$check" = --check ]; then
    if ! cmp -s <(page "$source") "$target"; then
      echo "${target#"$root"/} is out of date: run deploy/lab/runbooks.sh" >&2
      failed=1
    fi
  else
    page "$source" >"$target"
  fi
done

# Every alert has a page, a link to it and a test; every page an alert.
while read -r alert; do
  [ -s "$root/docs/runbooks/$alert.md" ] || { echo "alert $alert has no docs/runbooks/$alert.md" >&2; failed=1; }
  grep -q "/consoles/runbooks/$alert.html" "$root"/deploy/prometheus/rules/*.yml || { echo "alert $alert has no runbook_url" >&2; failed=1; }
  grep -q "\b$alert\b" "$root"/deploy/prometheus/tests/*.yml || { echo "alert $alert has no unit test" >&2; failed=1; }
done < <(sed -n 's/^ *- alert: //p' "$root"/deploy/prometheus/rules/*.yml)
for source in "$root"/docs/runbooks/*.md; do
  grep -q "alert: $(basename "${source%.md}")\$" "$root"/deploy/prometheus/rules/*.yml || { echo "${source#"$root"/} belongs to no alert" >&2; failed=1; }
done
exit $failed
