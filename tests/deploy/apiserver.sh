#!/usr/bin/env bash
# apiserver.sh FOLDER: deploy/kubernetes applied to a real API server of Kubernetes, with etcd behind it and no nodes.
#
# Debian packages no API server, but the source that its kubectl of bookworm is made from holds it whole: Kubernetes 1.20. It is
# built once into FOLDER, with Debian's Go, in some twenty minutes. Nothing is installed. What 1.20 does not know yet
# (policy/v1) and objects of the Prometheus operator are left out here; manifests.sh holds them to their schemas.
set -uo pipefail
folder=$(realpath -m "${1:?usage: apiserver.sh FOLDER}")
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
# shellcheck source=tests/lab/check.sh
source "$root/tests/lab/check.sh"
mkdir -p "$folder"
version=1.20.2
fail() { echo "skipped: $*"; exit 77; }
for tool in apt-get dpkg-deb make rsync openssl etcd kubectl; do command -v $tool >/dev/null || fail "$tool is missing (apt-get install rsync make openssl etcd-server kubernetes-client)"; done

build() {
  local mirror apt
  mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ')
  [ -n "$mirror" ] || fail "this machine's apt sources name no Debian mirror"
  mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$folder/go" "$folder/home" "$folder/source"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s bookworm main\ndeb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s bookworm main\n' "$mirror" "$mirror" >"$folder/apt/sources.list"
  apt=(-q -o "Dir::Etc::sourcelist=$folder/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false)
  (
    set -e
    apt-get "${apt[@]}" update
    cd "$folder/go"
    apt-get "${apt[@]}" download golang-1.19-go golang-1.19-src
    for package in ./*.deb; do dpkg-deb -x "$package" .; done
    cd "$folder/source"
    apt-get "${apt[@]}" source --download-only kubernetes
    tar -xzf kubernetes_*.orig.tar.gz
    cd kubernetes-$version
    # As debian/rules does: by make in a GOPATH, which makes the code that is not in the source.
    mkdir -p .go/src/k8s.io
    ln -sfn ../../.. .go/src/k8s.io/kubernetes
    export GOROOT=$folder/go/usr/lib/go-1.19 GOPATH=$PWD/.go HOME=$folder/home CGO_ENABLED=0 GOFLAGS=-p=1 KUBE_GIT_VERSION=v$version
    PATH=$GOROOT/bin:$PATH nice -n 10 make WHAT=cmd/kube-apiserver
    cp _output/bin/kube-apiserver "$folder/kube-apiserver"
    rm -rf "$folder/source" "$folder/go"
  ) >"$folder/build.log" 2>&1 </dev/null || { tail -n 5 "$folder/build.log"; fail "the API server cannot be built here"; }
}
[ -x "$folder/kube-apiserver" ] || build

work=$(mktemp -d)
pids=()
finish() {
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null
  wait
  rm -rf "$work"
}
trap finish EXIT
openssl genrsa -out "$work/key" 2048 2>/dev/null
token=$(openssl rand -hex 16)
(umask 077 && echo "$token,admin,1,system:masters" >"$work/tokens")
etcd --data-dir "$work/etcd" --listen-client-urls http://127.0.0.1:32379 --advertise-client-urls http://127.0.0.1:32379 \
  --listen-peer-urls http://127.0.0.1:32380 --initial-advertise-peer-urls http://127.0.0.1:32380 --initial-cluster default=http://127.0.0.1:32380 >"$work/etcd.log" 2>&1 &
pids+=($!)
"$folder/kube-apiserver" --etcd-servers=http://127.0.0.1:32379 --bind-address=127.0.0.1 --secure-port=32443 --advertise-address=10.0.0.1 --endpoint-reconciler-type=none \
  --cert-dir="$work/certs" --service-account-issuer=https://lab --service-account-key-file="$work/key" --service-account-signing-key-file="$work/key" \
  --token-auth-file="$work/tokens" --authorization-mode=AlwaysAllow --service-cluster-ip-range=10.96.0.0/16 >"$work/api.log" 2>&1 &
pids+=($!)
cat >"$work/config" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "https://127.0.0.1:32443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: "$token"}}]
contexts: [{name: lab, context: {cluster: lab, user: admin}}]
current-context: lab
CONFIG
export KUBECONFIG=$work/config
if ! within 60 kubectl get --raw /readyz; then tail -n 5 "$work/etcd.log" "$work/api.log"; check "the API server is ready" false; verdict; exit 1; fi
kubectl version 2>/dev/null | grep -i version

# kustomize separates documents by a line of three dashes.
builtin_only() { awk -v RS='\n---\n' -v ORS='\n---\n' '$0 !~ /(^|\n)apiVersion: (monitoring\.coreos\.com|policy)\/v1(\n|$)/'; }
kubectl create namespace bongsu >/dev/null
for manifests in "$root"/deploy/kubernetes/base "$root"/deploy/kubernetes/overlays/*; do
  name=$(basename "$manifests")
  kubectl kustomize "$manifests" | builtin_only >"$work/$name.yaml"
  count=$(grep -c '^kind:' "$work/$name.yaml")
  for how in "--server-side --dry-run=server" "--dry-run=server" "--server-side --force-conflicts"; do
    # shellcheck disable=SC2086
    check "$name: kubectl apply $how takes all of $count objects" test "$(kubectl apply $how -f "$work/$name.yaml" 2>"$work/said" | wc -l)" = "$count"
    grep -v '^Warning' "$work/said"
  done
done
refused() {
  sed 's/readOnlyRootFilesystem/readOnlyRootFilesytem/' "$work/base.yaml" >"$work/wrong.yaml"
  ! kubectl apply --server-side --dry-run=server -f "$work/wrong.yaml" >/dev/null 2>"$work/said" && grep -q 'unknown field "readOnlyRootFilesytem"' "$work/said"
}
check "and refuses a misspelt field" refused
verdict
